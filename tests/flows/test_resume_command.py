"""A killed command is gone on with by the line it would have printed, through real Prefect and ranks."""

import os
import signal
from pathlib import Path

import pytest

from opensloth_core.runs.events import read_events
from tests.flows.conftest import Start
from tests.flows.test_finetune import pids_of, states, wait_for_steps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def steps(run_dir: Path) -> list[int]:
    events = read_events(run_dir / "events.jsonl")
    return [event["step"] for event in events if event["kind"] == "step"]


def test_a_killed_command_goes_on_in_its_own_run(
    os_train: Start, home: Path, tiny_model_dir: Path, chat_data: Path, tmp_path: Path
) -> None:
    command = ["sft", chat_data, "--model", tiny_model_dir, "--gpus", 1, "--max-seq-length", 192]
    command += ["--max-steps", 40, "--save-steps", 2]
    process = os_train(*command)
    run_dir = wait_for_steps(home, process, 5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    assert states(run_dir)[-1] == "training"

    again = os_train("sft", "--resume", run_dir.name, "--gpus", 2)
    _, err = again.communicate(timeout=60)
    assert again.returncode == 2
    assert f"run {run_dir.name} cannot go on as it was: GPUs: 2" in err and "--allow-drift" in err

    auto = os_train(*command, "--resume", "auto", "--output", tmp_path / "mine")
    out, err = auto.communicate(timeout=200)
    assert auto.returncode == 0, err
    assert list((home / "runs").iterdir()) == [run_dir]
    (resumed,) = [event for event in read_events(run_dir / "events.jsonl") if event["kind"] == "resumed"]
    first = resumed["step"] + 1
    assert resumed["step"] >= 4 and resumed["step"] % 2 == 0
    assert f"resuming after step {resumed['step']}" in err
    assert steps(run_dir)[-(40 - resumed["step"]) :] == list(range(first, 41))
    assert states(run_dir)[-1] == "completed"
    assert "Report" in out and (run_dir / "report.md").exists()
    assert (tmp_path / "mine" / "adapter_config.json").exists()
    assert pids_of(run_dir) == []
