"""The public API from a Python prompt: what it takes, and what it refuses before anything starts."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import opensloth_core
from opensloth_core import (
    DatasetPrepConfig,
    OpenSlothConfig,
    PreparedData,
    TrainingConfigBuilder,
    run_prepare_data,
    run_training,
)
from opensloth_core.errors import ConfigError, DataError

REPOSITORY = Path(__file__).parents[2]
PUBLIC = [
    "DatasetPrepConfig",
    "GemmaDatasetPreparer",
    "LoraArguments",
    "OpenSlothConfig",
    "PreparedData",
    "QwenDatasetPreparer",
    "TrainedModel",
    "TrainingArguments",
    "TrainingConfigBuilder",
    "run_prepare_data",
    "run_training",
]


@pytest.fixture
def values(tiny_model_dir: Path, chat_data: Path, home: Path, quick_setup: None) -> dict[str, Any]:
    """Settings of a small preparation into an empty home."""
    return {"data": str(chat_data), "model": str(tiny_model_dir), "gpus": 1, "max_seq_length": 256}


def test_every_public_name_can_be_imported() -> None:
    assert sorted(opensloth_core.__all__) == PUBLIC
    assert [name for name in PUBLIC if not hasattr(opensloth_core, name)] == []
    assert importlib.import_module("opensloth_core").run_training is run_training


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'opensloth_core' has no attribute 'run_trainig'"):
        opensloth_core.run_trainig  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import opensloth_core",
        "from opensloth_core import DatasetPrepConfig, OpenSlothConfig, TrainingConfigBuilder",
        "from opensloth_core import run_prepare_data, run_training",
    ],
)
def test_importing_it_imports_nothing_heavy(statement: str) -> None:
    heavy = "{'torch', 'transformers', 'prefect', 'trl', 'unsloth', 'datasets'}"
    program = f"import sys\n{statement}\nprint(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout == "[]\n"


def test_the_second_call_finds_what_the_first_prepared(values: dict[str, Any], home: Path) -> None:
    first = run_prepare_data(values)
    second = run_prepare_data(values)
    assert (first.cached, second.cached) == (False, True)
    assert second.manifest == first.manifest
    assert first.folder == home / "store" / "prepared" / first.manifest.key
    assert first.manifest.ledger.rows_kept == 40


def test_a_model_and_a_mapping_mean_the_same_data(values: dict[str, Any]) -> None:
    from_mapping = run_prepare_data(values)
    from_model = run_prepare_data(DatasetPrepConfig(**values))
    assert from_model.cached
    assert from_model.manifest.key == from_mapping.manifest.key


def test_the_ancestor_s_names_mean_the_same_data(values: dict[str, Any]) -> None:
    key = run_prepare_data(values).manifest.key
    ancestor = {
        "input": values["data"],
        "tok_name": values["model"],
        "training_type": "sft",
        "gpus": 1,
        "max_length": 256,
    }
    assert run_prepare_data(ancestor).manifest.key == key


def test_a_damaged_artifact_is_prepared_again(values: dict[str, Any]) -> None:
    first = run_prepare_data(values)
    (first.folder / first.manifest.shards[0]).unlink()
    second = run_prepare_data(values)
    assert not second.cached
    assert (second.folder / first.manifest.shards[0]).exists()


def test_preparation_reports_its_progress(values: dict[str, Any]) -> None:
    phases: list[str] = []
    run_prepare_data(values, progress=lambda phase, done, total: phases.append(phase))
    assert list(dict.fromkeys(phases)) == ["tokenize", "pack", "write"]


def test_data_is_exported_where_it_was_asked_for(values: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "copy"
    prepared = run_prepare_data({**values, "data_output": target})
    assert sorted(p.name for p in target.iterdir()) == sorted(p.name for p in prepared.folder.iterdir())


def test_a_missing_input_is_refused_and_nothing_is_written(values: dict[str, Any], home: Path) -> None:
    with pytest.raises(DataError, match=r"^no/such\.jsonl: no such file$"):
        run_prepare_data({**values, "data": "no/such.jsonl"})
    assert not home.exists()


@pytest.fixture
def prepared(values: dict[str, Any]) -> PreparedData:
    return run_prepare_data(values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_seq_length": 128}, "max_seq_length 128 contradicts the prepared data {key}, made with 256; "),
        (
            {"samples": 3},
            "samples 3 from random with seed 42 contradicts the prepared data {key}, made with all; ",
        ),
        ({"gpus": "0,1"}, "GPU count 2 contradicts the prepared data {key}, made with 1; "),
        ({"train_on": "all"}, "train_on all contradicts the prepared data {key}, made with assistant; "),
        ({"overlong": "split"}, "overlong split contradicts the prepared data {key}, made with drop; "),
    ],
    ids=["max_seq_length", "samples", "gpus", "train_on", "overlong"],
)
def test_settings_that_contradict_the_prepared_data_are_refused_before_anything_starts(
    changes: dict[str, Any],
    message: str,
    prepared: PreparedData,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ConfigError) as caught:
        run_training(changes, prepared)
    expected = message.format(key=prepared.manifest.key)
    assert str(caught.value) == expected + "prepare the data again or drop the setting"
    assert not (home / "runs").exists()


def test_the_manifest_s_settings_need_not_be_repeated_and_flags_win(
    prepared: PreparedData, values: dict[str, Any]
) -> None:
    builder = TrainingConfigBuilder().with_manifest(prepared.manifest.preparation)
    config = builder.with_flags({"epochs": 3}).build()
    assert isinstance(config, OpenSlothConfig)
    assert (config.data, config.max_seq_length, config.gpus) == ((values["data"],), 256, 1)
    assert config.training.epochs == 3


def test_a_misspelt_setting_of_training_is_refused(prepared: PreparedData, home: Path) -> None:
    with pytest.raises(ConfigError, match=r"^epoch: no such setting; known: "):
        run_training({"epoch": 3}, prepared)
    assert not (home / "runs").exists()
