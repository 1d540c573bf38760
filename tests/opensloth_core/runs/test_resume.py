"""Which run is taken up, whether it may go on, and from where. No process trains here."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.find import find_resumable, last_state
from opensloth_core.runs.lock import is_running, run_lock
from opensloth_core.runs.resume import (
    DriftError,
    drift,
    resume_line,
    start_point,
    take_up,
    with_gpus_of_checkpoint,
)
from opensloth_core.store.artifact import file_records
from opensloth_core.training.checkpoint.made_with import made_with
from opensloth_core.training.checkpoint.manifest import CheckpointManifest, Position

SETTINGS: dict[str, Any] = {
    "data": "rows.jsonl",
    "model": "org/gemma-3",
    "gpus": 2,
    "learning_rate": 2e-4,
    "save_steps": 10,
}
PARTS = {"input": "b" * 64, "tokenizer": "t", "GPU count": "2"}


def config_with(**changes: Any) -> OpenSlothConfig:
    from opensloth_core.config.builder import TrainingConfigBuilder

    return TrainingConfigBuilder().with_flags({**SETTINGS, **changes}).build()


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    return Launch(str(model), ("cpu", "cpu"), "key")


@pytest.fixture
def run(home: Path, launch: Launch) -> RunDirectory:
    """A run that failed after 20 steps."""
    config = config_with()
    run = RunDirectory.create(config)
    run.write_launch(launch)
    for step in (10, 20):
        add_checkpoint(run, config, launch, step)
    run.events.state("failed", "its GPU fell off")
    return run


def add_checkpoint(run: RunDirectory, config: OpenSlothConfig, launch: Launch, step: int) -> Path:
    path = run.checkpoints_dir / f"step-{step:06d}"
    path.mkdir(parents=True)
    (path / "weights.json").write_text("{}")
    manifest = CheckpointManifest(
        files=file_records(path),
        created=0.0,
        position=Position(step=step, epoch=1.0, trained_tokens=1),
        made_with=made_with(config, PARTS, launch.weight_folders, launch.devices, BatchPlan(2, 1, 2)),
    )
    (path / "manifest.json").write_text(manifest.model_dump_json())
    return path


def begun(config: OpenSlothConfig) -> RunDirectory:
    """A run that a process drove, and that process is gone."""
    run = RunDirectory.create(config)
    with run_lock(run):
        return run


def messages(run: RunDirectory) -> list[str]:
    return [event["text"] for event in read_events(run.events_path) if event["kind"] == "message"]


def test_a_run_is_found_by_its_folder_its_name_or_the_beginning_of_that(run: RunDirectory) -> None:
    for which in (run.path, str(run.path), run.path.name, run.path.name[:12], run.path.name[-4:], "last"):
        found = find_resumable(which)
        assert found and found.path == run.path


def test_a_name_that_means_no_run_or_several_is_refused_with_what_there_is(run: RunDirectory) -> None:
    with pytest.raises(ConfigError, match=rf"resume dpo: no such run in .*; the newest is {run.path.name}"):
        find_resumable("dpo")
    RunDirectory.create(config_with())
    with pytest.raises(ConfigError, match=r"resume sft-: 2 runs are called so: sft-"):
        find_resumable("sft-")


def test_auto_takes_the_newest_unfinished_run_of_the_same_configuration(run: RunDirectory) -> None:
    newer = begun(config_with())
    other = begun(config_with(learning_rate=1e-3))
    completed = begun(config_with())
    completed.events.state("completed")
    broken = begun(config_with())
    broken.config_path.write_text('{"of": "another version"}')
    starting = RunDirectory.create(config_with())  # by one that starts at the same time and has yet to begin

    found = [find_resumable("auto", config_with()), find_resumable("auto", config_with(learning_rate=1e-3))]
    assert [run.path for run in found if run] == [newer.path, other.path]
    starting = RunDirectory(starting.path)  # by one that was killed before it began
    found = [find_resumable("auto", config_with())]
    assert [run.path for run in found if run] == [starting.path]
    starting.events.state("completed")
    # What shapes no step may change, and other devices are for the check of drift to say.
    same = find_resumable("auto", config_with(save_steps=3, output="there", report_to="wandb", gpus=1))
    assert same and same.path == newer.path
    assert find_resumable("auto", config_with(data="others.jsonl")) is None
    assert find_resumable("auto", config_with(lora_rank=8)) is None


def test_auto_gpus_of_a_resumed_run_are_as_many_as_it_had(run: RunDirectory) -> None:
    auto = config_with(gpus="auto")
    assert with_gpus_of_checkpoint(run, auto).gpus == 2
    assert with_gpus_of_checkpoint(run, config_with(gpus=1)).gpus == 1
    assert with_gpus_of_checkpoint(RunDirectory.create(auto), auto) == auto


def test_a_completed_run_is_refused_with_where_its_result_is(run: RunDirectory) -> None:
    run.events.state("completed")
    assert last_state(run) == "completed"
    with pytest.raises(ConfigError, match=rf"is completed, with its result in {run.adapter_dir}"):
        find_resumable(run.path)


def test_a_run_that_only_prepared_data_is_refused(home: Path) -> None:
    run = RunDirectory.create(config_with().preparation)
    with pytest.raises(ConfigError, match="prepared data and trained nothing"):
        find_resumable(run.path)
    assert find_resumable("auto", config_with()) is None


HOLDER = """
import sys, time
from pathlib import Path
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.lock import run_lock
with run_lock(RunDirectory(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_running_run_is_refused_until_its_process_is_killed(run: RunDirectory) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(run.path)], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    try:
        assert is_running(run)
        with pytest.raises(ConfigError, match="is still running; wait for it"):
            find_resumable(run.path)
        assert find_resumable("auto", config_with()) is None
        locked = pytest.raises(ConfigError, match=rf"is still running \(process {holder.pid}\)")
        with locked, run_lock(run):
            pass
    finally:
        holder.kill()
        holder.wait()
    assert not is_running(run)
    with run_lock(run):
        assert run.lock_path.read_text() == str(os.getpid())


def test_the_same_run_has_no_drift(run: RunDirectory, launch: Launch) -> None:
    free_to_change = config_with(save_steps=3, eval_steps=5, report_to="wandb", output="there")
    assert drift(run, free_to_change, PARTS, launch) == []
    # The same numbers, said in another way.
    assert drift(run, config_with(global_batch_size=4), PARTS, launch) == []


@pytest.mark.parametrize(
    ("changes", "parts", "devices", "expected"),
    [
        ({"learning_rate": 1e-4}, {}, 2, ["learning_rate 0.0001 was 0.0002"]),
        ({"lora_rank": 8, "epochs": 3}, {}, 2, ["epochs 3.0 was 1.0", "lora_rank 8 was 16"]),
        ({}, {"GPU count": "1"}, 1, ["GPUs: 1 was 2", "global_batch_size 2 was 4"]),
        ({"global_batch_size": 4}, {"GPU count": "1"}, 1, ["GPUs: 1 was 2"]),
        ({"global_batch_size": 8}, {}, 2, ["gradient_accumulation_steps 2 was 1"]),
        ({"max_steps": 7}, {}, 2, ["max_steps 7 was not set"]),
    ],
)
def test_what_differs_is_said_in_words(
    changes: dict[str, Any],
    parts: dict[str, str],
    devices: int,
    expected: list[str],
    run: RunDirectory,
    launch: Launch,
) -> None:
    launch = Launch(launch.model_dir, ("cpu",) * devices, "key")
    assert drift(run, config_with(**changes), {**PARTS, **parts}, launch) == expected


def test_other_data_and_another_model_are_told_apart(run: RunDirectory, launch: Launch) -> None:
    (data,) = drift(run, config_with(), {**PARTS, "input": "c" * 64}, launch)
    assert data.startswith("data: key ")
    assert data.endswith(f"(input: {'c' * 23}… was {'b' * 23}…)")
    (Path(launch.model_dir) / "model.safetensors").write_bytes(b"weighty")
    (model,) = drift(run, config_with(), PARTS, launch)
    assert model.startswith("model weights: ")


def test_drift_is_refused_whole_and_changes_nothing(run: RunDirectory, launch: Launch) -> None:
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(DriftError) as raised:
        take_up(run, config_with(learning_rate=1e-4, lora_rank=8), PARTS, launch)
    for words in ("learning_rate 0.0001 was 0.0002", "lora_rank 8 was 16", "--allow-drift"):
        assert words in str(raised.value)
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_drift_that_is_allowed_is_recorded(run: RunDirectory, launch: Launch) -> None:
    three = Launch(launch.model_dir, ("cpu",) * 3, "key")
    take_up(run, config_with(gpus=3), PARTS, three, allow_drift=True)
    assert run.config().gpus == 3
    assert messages(run) == [
        "goes on with a difference: GPUs: 3 was 2",
        "goes on with a difference: global_batch_size 6 was 4",
        "new since the checkpoint, with fresh random numbers: rank 2",
        "6 units a step instead of 4: the steps that are left are those of another plan, in which some units "
        "come twice or not at all",
    ]


def test_settings_that_shape_no_step_take_effect_in_a_resumed_run(run: RunDirectory, launch: Launch) -> None:
    take_up(run, config_with(save_steps=3), PARTS, launch)
    assert run.config().training.save_steps == 3
    assert messages(run) == []


def test_other_versions_of_libraries_are_named_but_not_refused(run: RunDirectory, launch: Launch) -> None:
    path = run.checkpoints_dir / "step-000020" / "manifest.json"
    manifest = json.loads(path.read_text())
    version = manifest["made_with"]["versions"]["torch"]
    manifest["made_with"]["versions"]["torch"] = "2.0"
    path.write_text(json.dumps(manifest))
    take_up(run, config_with(), PARTS, launch)
    assert messages(run) == [
        f"another version: torch {version} was 2.0; the result may differ in its last digits"
    ]


@pytest.mark.parametrize(
    ("damage", "step", "said"),
    [
        (lambda path: None, 20, "resuming after step 20"),
        (lambda path: (path / "weights.json").write_text("[]"), 10, "weights.json is not what was written"),
        (lambda path: (path / "manifest.json").unlink(), 10, "manifest.json is missing"),
    ],
)
def test_an_attempt_begins_at_the_newest_whole_checkpoint(
    damage: Callable[[Path], None], step: int, said: str, run: RunDirectory
) -> None:
    damage(run.checkpoints_dir / "step-000020")
    (run.checkpoints_dir / "step-000030.partial").mkdir()
    assert start_point(run) == f"step-{step:06d}"
    assert said in " ".join(messages(run))
    (resumed,) = [event for event in read_events(run.events_path) if event["kind"] == "resumed"]
    assert (resumed["step"], resumed["checkpoint"]) == (step, f"step-{step:06d}")
    left = sorted(path.name for path in run.checkpoints_dir.iterdir())
    assert left == [f"step-{s:06d}" for s in (10, 20) if s <= step]


def test_a_run_without_a_whole_checkpoint_begins_anew_and_says_so(run: RunDirectory, launch: Launch) -> None:
    for path in run.checkpoints_dir.iterdir():
        (path / "manifest.json").unlink()
    assert drift(run, config_with(learning_rate=1e-4), PARTS, launch) == []
    assert start_point(run) is None
    assert messages(run)[-1] == "resuming from the start: there is no whole checkpoint"
    assert resume_line(run) == f"to go on with this run from the start: --resume {run.path.name}"


def test_the_first_attempt_of_a_run_resumes_nothing(home: Path) -> None:
    run = RunDirectory.create(config_with())
    assert start_point(run) is None
    assert [event["kind"] for event in read_events(run.events_path)] == ["state"]


def test_the_line_that_says_how_to_go_on(run: RunDirectory) -> None:
    assert resume_line(run) == f"to go on with this run after step 20: --resume {run.path.name}"
