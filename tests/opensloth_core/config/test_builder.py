"""Layers of settings: the weaker gives way, what was not given beats nothing."""

import json
import pickle
from pathlib import Path

import pytest

from opensloth_core.config.builder import LayeredConfigError, TrainingConfigBuilder
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.layer import Layer, merged
from opensloth_core.config.nest import names_of, nest
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.training import TrainingArguments
from opensloth_core.errors import ConfigError

REQUIRED = {"data": "d.jsonl", "model": "m"}


def test_defaults_then_manifest_then_flags() -> None:
    manifest = {**REQUIRED, "max_seq_length": 4096, "gpus": 4}

    defaults = TrainingConfigBuilder().with_flags(REQUIRED).build()
    assert (defaults.max_seq_length, defaults.gpus, defaults.seed) == (2048, "auto", 42)

    prepared = TrainingConfigBuilder().with_manifest(manifest).build()
    assert (prepared.max_seq_length, prepared.gpus, prepared.seed) == (4096, 4, 42)

    flagged = TrainingConfigBuilder().with_manifest(manifest).with_flags({"gpus": "2"}).build()
    assert (flagged.max_seq_length, flagged.gpus, flagged.seed) == (4096, 2, 42)


def test_a_flag_equal_to_the_default_still_beats_the_manifest() -> None:
    builder = TrainingConfigBuilder().with_manifest({**REQUIRED, "max_seq_length": 4096})
    assert builder.with_flags({"max_seq_length": 2048}).build().max_seq_length == 2048


def test_one_nested_flag_leaves_its_weaker_neighbours_alone() -> None:
    builder = TrainingConfigBuilder().with_manifest({**REQUIRED, "training": {"epochs": 5, "batch_size": 8}})
    training = builder.with_flags({"epochs": 3}).build().training
    assert (training.epochs, training.batch_size) == (3.0, 8)


def test_a_group_given_as_a_model_counts_only_what_was_set_in_it() -> None:
    builder = TrainingConfigBuilder().with_manifest({**REQUIRED, "training": {"batch_size": 8}})
    training = builder.with_flags({"training": TrainingArguments(epochs=3)}).build().training
    assert (training.epochs, training.batch_size) == (3.0, 8)


def test_origin_names_the_layer() -> None:
    builder = TrainingConfigBuilder().with_manifest({**REQUIRED, "gpus": 4}).with_flags({"lr": 1e-4})
    assert builder.origin("training.learning_rate") == "flags"
    assert builder.origin("gpus") == "the prepared data's manifest"
    assert builder.origin("seed") == "default"


def test_flat_names_and_aliases_find_their_group() -> None:
    assert nest({"lr": 1, "r": 8, "num_samples": 5}, OpenSlothConfig) == {
        "training": {"learning_rate": 1},
        "lora": {"lora_rank": 8},
        "samples": 5,
    }


def test_flat_and_nested_may_be_mixed() -> None:
    nested = nest({"training": {"num_train_epochs": 2}, "lr": 1}, OpenSlothConfig)
    assert nested == {"training": {"epochs": 2, "learning_rate": 1}}


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 1, "num_train_epochs": 2},
        {"model": "a", "model_name": "b"},
        {"training": {"lr": 1, "learning_rate": 2}},
        {"training": {"lr": 1}, "learning_rate": 2},
    ],
)
def test_one_setting_under_two_names_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="are one setting"):
        TrainingConfigBuilder().with_flags(values)


def test_unknown_names_are_refused_at_the_end() -> None:
    with pytest.raises(ConfigError, match="epoch: no such setting"):
        TrainingConfigBuilder().with_flags({**REQUIRED, "epoch": 3}).build()


@pytest.mark.parametrize("value", [3, "x", None, [1]])
def test_a_group_that_is_no_group_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="lora"):
        TrainingConfigBuilder().with_flags({**REQUIRED, "lora": value}).build()


def test_names_of_a_field_begin_with_its_own() -> None:
    assert names_of(TrainingArguments, "learning_rate") == ["learning_rate", "lr"]
    assert names_of(TrainingArguments, "max_steps") == ["max_steps"]


def test_defaults_preset_file_environment_manifest_and_flags_in_this_order(tmp_path: Path) -> None:
    settings = ("max_steps", "samples", "save_steps", "eval_generations", "seed", "weight_decay")
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**REQUIRED, **dict.fromkeys(settings[1:5], 1), "weight_decay": 0.5}))
    environ = {
        "OPENSLOTH_SET_SAVE_STEPS": "2",
        "OPENSLOTH_SET_EVAL_GENERATIONS": "2",
        "OPENSLOTH_SET_SEED": "2",
    }
    builder = TrainingConfigBuilder().with_preset("quick").with_file(path).with_environment(environ)
    config = builder.with_manifest({"seed": 3, "samples": 3}).with_flags({"eval_generations": 4}).build()
    training = config.training
    assert (training.max_steps, config.samples, training.save_steps) == (20, 3, 2)
    assert (training.eval_generations, config.seed, training.weight_decay) == (4, 3, 0.5)
    origins = [builder.origin(name) for name in ("training.max_steps", "training.weight_decay", "gpus")]
    assert origins == ["preset quick", f"{path}:1", "default"]
    assert builder.origin("training.save_steps") == "OPENSLOTH_SET_SAVE_STEPS"


@pytest.mark.parametrize(
    ("weak", "strong", "left"),
    [
        ({"max_steps": 20}, {"epochs": 3}, {"epochs": 3}),
        ({"gradient_accumulation_steps": 3}, {"global_batch_size": 8}, {"global_batch_size": 8}),
        ({"global_batch_size": 8}, {"gradient_accumulation_steps": 3}, {"gradient_accumulation_steps": 3}),
        ({"gradient_accumulation_steps": 3}, {"batch_size": "auto"}, {"batch_size": "auto"}),
        ({"batch_size": "auto"}, {"gradient_accumulation_steps": 3}, {"gradient_accumulation_steps": 3}),
        (
            {"batch_size": 2},
            {"gradient_accumulation_steps": 3},
            {"batch_size": 2, "gradient_accumulation_steps": 3},
        ),
        ({"max_steps": 20}, {"epochs": None}, {"epochs": None, "max_steps": 20}),
    ],
)
def test_a_stronger_layer_replaces_what_says_the_same_in_another_way(
    weak: dict[str, object], strong: dict[str, object], left: dict[str, object]
) -> None:
    layers = [Layer.of("weak", weak), Layer.of("strong", strong)]
    assert merged(layers) == {"training": left}
    assert layers[0].values == {"training": weak}


def test_a_mapping_is_replaced_and_not_mixed_with_the_weaker_one() -> None:
    layers = [Layer.of("weak", {"map": {"messages": "a"}}), Layer.of("strong", {"map": {"prompt": "b"}})]
    assert merged(layers) == {"map": {"prompt": "b"}}


def test_a_preparation_takes_its_part_of_the_settings_of_a_run() -> None:
    builder = TrainingConfigBuilder().with_preset("quick").with_flags({**REQUIRED, "method": "dpo", "lr": 1})
    assert builder.build_preparation(DatasetPrepConfig) == DatasetPrepConfig.of(
        {**REQUIRED, "method": "dpo", "samples": 500}
    )


def test_an_error_with_origins_survives_pickling() -> None:
    error = LayeredConfigError("seed (run.yaml:3): wrong", {("seed",): "run.yaml:3"})
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.origins) == ("seed (run.yaml:3): wrong", {("seed",): "run.yaml:3"})
