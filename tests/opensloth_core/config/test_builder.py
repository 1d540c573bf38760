"""Layers of settings: the weaker gives way, what was not given beats nothing."""

import pytest

from opensloth_core.config.builder import TrainingConfigBuilder, names_of, nest
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
