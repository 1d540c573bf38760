"""`init_from` names a run, and becomes the model that training starts from."""

from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.directory import RunDirectory


@pytest.fixture
def run(home: Path) -> RunDirectory:
    """A run with a result."""
    run = RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": "org/name"}))
    run.adapter_dir.mkdir()
    return run


def built(**flags: Any) -> OpenSlothConfig:
    return TrainingConfigBuilder().with_flags({"data": "d.jsonl", **flags}).build()


def refused(**flags: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        built(**flags)
    return str(caught.value)


def test_a_run_by_any_of_its_names_is_its_result(run: RunDirectory) -> None:
    RunDirectory.create(DatasetPrepConfig.of({"data": "d.jsonl", "model": "org/name"}))
    for name in (run.path.name, str(run.path), run.path.name[:8], run.path.name[-4:], "last"):
        assert built(init_from=name).model == str(run.adapter_dir)


def test_a_preparation_and_a_model_s_folder_are_no_run_to_start_from(home: Path, tmp_path: Path) -> None:
    data = RunDirectory.create(DatasetPrepConfig.of({"data": "d.jsonl", "model": "org/name"}))
    assert "prepared data and trained nothing" in refused(init_from=data.path.name)
    assert "none has trained anything yet" in refused(init_from="last")
    (tmp_path / "config.json").write_text("{}")
    assert f"{tmp_path}: no such run in" in refused(init_from=str(tmp_path))


def test_the_configuration_that_is_recorded_needs_the_first_run_no_more(run: RunDirectory) -> None:
    second = RunDirectory.create(built(init_from=run.path.name))
    run.path.rename(run.path.with_name("elsewhere"))
    assert second.config().model == str(run.adapter_dir)


def test_a_run_is_titled_after_the_run_it_starts_from(run: RunDirectory) -> None:
    config = built(init_from=run.path.name, gpus=1)
    run_id = run.path.name.rpartition("-")[2]
    assert config.title == f"sft · run-{run_id} · d · 1 GPU"
    assert RunDirectory.create(config).path.name.startswith(f"sft-run_{run_id}-d-")


def test_an_adapter_of_another_s_run_keeps_its_name() -> None:
    assert built(model="my-models/adapter").model_title == "adapter"
    assert built(model="home/models/support-bot/current").model_title == "support-bot"


def test_a_run_without_a_result_is_refused_with_its_state(run: RunDirectory) -> None:
    run.adapter_dir.rmdir()
    run.events.state("failed", "rank 0 was killed")
    assert refused(init_from=run.path.name) == (
        f"init_from {run.path}: the run has no result to start from: its state is failed; let it end or "
        "resume it, or give another run"
    )


def test_an_unknown_run_is_refused_with_the_newest(run: RunDirectory, home: Path) -> None:
    assert refused(init_from="sft-typo") == (
        f"init_from sft-typo: no such run in {home / 'runs'}; the newest is {run.path.name}. Give a name, "
        "how it begins or ends, its folder, or last"
    )


@pytest.mark.parametrize("rival", ["model", "tok_name", "pretrained_lora"])
def test_a_model_or_an_adapter_beside_it_is_refused(rival: str, run: RunDirectory) -> None:
    name = "model" if rival == "tok_name" else rival
    assert refused(init_from=run.path.name, **{rival: "m"}) == (
        f"init_from {run.path.name}: names model and adapter; drop {name}"
    )
    with pytest.raises(ConfigError, match=f"drop {rival}"):
        OpenSlothConfig.of({"data": "d", "init_from": run.path.name, rival: "m"})


def test_neither_a_model_nor_a_run_is_refused() -> None:
    assert refused() == "model: required"


def test_of_two_layers_the_stronger_says_what_training_starts_from(run: RunDirectory) -> None:
    weak = {"data": "d.jsonl", "model": "org/name"}
    builder = TrainingConfigBuilder().with_manifest(weak).with_flags({"init_from": run.path.name})
    assert builder.build().model == str(run.adapter_dir)
    weak = {"data": "d.jsonl", "init_from": run.path.name}
    assert TrainingConfigBuilder().with_manifest(weak).with_flags({"model": "m"}).build().model == "m"
