"""The settings models: strict, frozen, plain about mistakes, lossless as JSON."""

import json

import pytest
from pydantic import ValidationError

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.training import LoraArguments, TrainingArguments
from opensloth_core.errors import ConfigError

REQUIRED = {"data": "d.jsonl", "model": "m"}


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="epoch: no such setting; known: epochs, max_steps"):
        TrainingArguments.of({"epoch": 3})


def test_a_misspelt_nested_setting_lists_the_nested_names() -> None:
    with pytest.raises(ConfigError, match=r"^training\.epoch: no such setting; known: epochs, ") as caught:
        OpenSlothConfig.of({**REQUIRED, "training": {"epoch": 3}})
    assert "data_output" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        OpenSlothConfig.of(REQUIRED).seed = 1  # type: ignore[misc]


def test_every_problem_is_named_at_once() -> None:
    values = {**REQUIRED, "gpus": 0, "training": {"learning_rate": -1}, "lora": {"lora_rank": "x"}}
    with pytest.raises(ConfigError) as caught:
        OpenSlothConfig.of(values)
    assert str(caught.value) == (
        "gpus: at least 1 GPU is needed, got 0; lora.lora_rank: must be a whole number, got 'x'; "
        "training.learning_rate: must be greater than 0, got -1"
    )


def test_a_rule_over_two_fields_names_both_and_both_values() -> None:
    values = {"batch_size": 4, "gradient_accumulation_steps": 3, "global_batch_size": 10}
    with pytest.raises(ConfigError) as caught:
        TrainingArguments.of(values)
    assert str(caught.value) == (
        "global_batch_size 10 is not a multiple of batch_size 4 x gradient_accumulation_steps 3; "
        "give one of the two"
    )


@pytest.mark.parametrize("value", ["inf", "nan", float("inf"), float("nan")])
def test_numbers_are_finite(value: object) -> None:
    with pytest.raises(ConfigError, match="epochs: must be finite"):
        TrainingArguments.of({"epochs": value})


def test_names_may_be_separated_by_commas() -> None:
    assert LoraArguments.of({"target_modules": "q_proj, v_proj,"}).target_modules == ("q_proj", "v_proj")
    with pytest.raises(ConfigError, match="target_modules"):
        LoraArguments.of({"target_modules": " , "})


@pytest.mark.parametrize(
    ("given", "share"), [("1%", 0.01), ("0.5 %", 0.005), ("100%", 1.0), ("0", 0.0), (0.2, 0.2)]
)
def test_a_share_may_be_given_in_percent(given: object, share: float) -> None:
    assert DatasetPrepConfig.of({**REQUIRED, "max_rejected": given}).max_rejected == pytest.approx(share)


@pytest.mark.parametrize("given", ["101%", "-1%", "x%", "%", "1.01"])
def test_a_share_lies_between_nothing_and_all(given: str) -> None:
    with pytest.raises(ConfigError, match=r"^max_rejected: must be "):
        DatasetPrepConfig.of({**REQUIRED, "max_rejected": given})


def test_json_round_trip_of_every_kind_of_value() -> None:
    config = OpenSlothConfig.of(
        {
            **REQUIRED,
            "gpus": "3,",
            "samples": 10,
            "data_output": "some/dir",
            "lora": {"target_modules": "q_proj"},
            "training": {"gradient_checkpointing": False, "learning_rate": 3e-5, "max_steps": 4},
        }
    )
    assert OpenSlothConfig.of(json.loads(config.model_dump_json())) == config
    assert OpenSlothConfig.model_validate_json(config.model_dump_json()) == config


def test_settings_with_all_defaults_survive_json_too() -> None:
    config = OpenSlothConfig.of(REQUIRED)
    assert OpenSlothConfig.model_validate_json(config.model_dump_json()) == config


def test_the_preparation_is_the_part_that_shapes_data() -> None:
    config = OpenSlothConfig.of({**REQUIRED, "gpus": "0,3", "training": {"epochs": 7}})
    assert config.preparation == DatasetPrepConfig.of({**REQUIRED, "gpus": (0, 3)})


@pytest.mark.parametrize(
    ("alias", "name"),
    [("input", "data"), ("dataset_name", "data"), ("model_name", "model"), ("tok_name", "model")],
)
def test_the_ancestors_names_are_accepted(alias: str, name: str) -> None:
    values = {key: value for key, value in REQUIRED.items() if key != name}
    assert getattr(DatasetPrepConfig.of({**values, alias: "given"}), name) == "given"


def test_instances_pass_through_unchanged() -> None:
    config = OpenSlothConfig.of(REQUIRED)
    assert OpenSlothConfig.of(config) is config
