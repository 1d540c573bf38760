"""Settings from variables: their own prefix, nothing misspelt is overlooked."""

import re
from pathlib import Path

import pytest

import opensloth_core
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.environment import PREFIX, PRODUCT, environment_layer, variable
from opensloth_core.config.nest import flat_names
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError

PLACES = {"OPENSLOTH_HOME": "/tmp/h", "OPENSLOTH_STORE": "s3://b", "OPENSLOTH_CPU_SLOTS": "1", "PATH": "/bin"}
SOURCES = Path(opensloth_core.__file__).parent.parent


def built(environ: dict[str, str]) -> OpenSlothConfig:
    return TrainingConfigBuilder().with_environment({**PLACES, **environ}).build()


def test_variables_are_settings_and_those_of_places_are_not() -> None:
    config = built(
        {
            "OPENSLOTH_SET_DATA": "d.jsonl",
            "OPENSLOTH_SET_MODEL": "m",
            "OPENSLOTH_SET_BATCH_SIZE": "4",
            "OPENSLOTH_SET_LR": "1e-4",
            "OPENSLOTH_SET_GRADIENT_CHECKPOINTING": "true",
            "OPENSLOTH_SET_GPUS": "0,3",
        }
    )
    assert (config.data, config.model, config.gpus) == (("d.jsonl",), "m", (0, 3))
    assert (config.training.batch_size, config.training.learning_rate) == (4, 1e-4)
    assert config.training.gradient_checkpointing is True


def test_several_values_of_a_setting_are_json() -> None:
    config = built(
        {
            "OPENSLOTH_SET_DATA": '["a.jsonl", "b.jsonl"]',
            "OPENSLOTH_SET_MODEL": "m",
            "OPENSLOTH_SET_MAP": '{"messages": "talk"}',
        }
    )
    assert (config.data, config.map) == (("a.jsonl", "b.jsonl"), {"messages": "talk"})
    # A glob may begin with a bracket too.
    assert built({"OPENSLOTH_SET_DATA": "[ab].jsonl", "OPENSLOTH_SET_MODEL": "m"}).data == ("[ab].jsonl",)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "OPENSLOTH_SET_EPOCH",
            "3",
            "OPENSLOTH_SET_EPOCH: no such setting; did you mean OPENSLOTH_SET_EPOCHS?",
        ),
        ("OPENSLOTH_SET_HOME", "x", "OPENSLOTH_SET_HOME: no such setting; os-train schema lists all"),
        ("OPENSLOTH_SET_TRAINING", "{}", "OPENSLOTH_SET_TRAINING: no such setting"),
        (
            "OPENSLOTH_SET_epochs",
            "3",
            "OPENSLOTH_SET_epochs: no such setting; did you mean OPENSLOTH_SET_EPOCHS?",
        ),
        ("OPENSLOTH_SET_", "3", "OPENSLOTH_SET_: no such setting"),
        ("OPENSLOTH_SET_EPOCHS", " ", "OPENSLOTH_SET_EPOCHS: is empty; give a value, or unset it"),
        (
            "OPENSLOTH_BATCH_SIZE",
            "4",
            "OPENSLOTH_BATCH_SIZE: variables of settings begin with OPENSLOTH_SET_; set OPENSLOTH_SET_",
        ),
    ],
)
def test_a_variable_that_would_do_nothing_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        environment_layer({**PLACES, name: value})
    assert str(error.value).startswith(message)


def test_two_variables_of_one_setting_are_refused() -> None:
    with pytest.raises(ConfigError, match="learning_rate and lr are one setting"):
        environment_layer({"OPENSLOTH_SET_LR": "1", "OPENSLOTH_SET_LEARNING_RATE": "2"})


def test_a_wrong_value_is_named_by_its_variable() -> None:
    with pytest.raises(ConfigError) as error:
        built({"OPENSLOTH_SET_DATA": "d", "OPENSLOTH_SET_MODEL": "m", "OPENSLOTH_SET_LR": "fast"})
    assert str(error.value) == "learning_rate (OPENSLOTH_SET_LR): must be a number, got 'fast'"


def test_no_variable_of_ours_has_the_name_of_a_setting() -> None:
    sources = [path for top in ("flows", "tasks", "opensloth_core") for path in (SOURCES / top).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"OPENSLOTH_[A-Z_]*[A-Z]", path.read_text())}
    ours = {name for name in named if not name.startswith(PREFIX.rstrip("_"))}
    assert {"OPENSLOTH_HOME", "OPENSLOTH_STORE", "OPENSLOTH_ROOTS"} <= ours
    settings = {PRODUCT + name.upper() for name in flat_names(OpenSlothConfig)}
    assert not ours & settings
    environment_layer(dict.fromkeys(ours, "1"))


def test_the_variable_of_a_setting() -> None:
    assert variable("learning_rate") == "OPENSLOTH_SET_LEARNING_RATE"
