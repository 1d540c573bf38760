"""Runs written as their processes write them: directory, configuration, launch record and event log."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch, RunDirectory

WriteRun = Callable[..., RunDirectory]

DRIVE = """
import sys, time
from pathlib import Path
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.life import recorded
from opensloth_core.runs.lock import run_lock
run = RunDirectory(Path(sys.argv[1]))
with run_lock(run), recorded(run):
    run.events.state("training")
    for line in sys.stdin:
        run.events.message(line.strip())
"""


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def write_run(home: Path) -> WriteRun:
    """Writes a run of so many steps with losses 5, 4.5, 4, …, 10 s a step, on two GPUs."""

    def write(
        steps: int = 3,
        state: str | None = "completed",
        age: float = 3600.0,
        cached: bool = False,
        **settings: Any,
    ) -> RunDirectory:
        start = {} if "init_from" in settings else {"model": "/m/tiny"}
        config = OpenSlothConfig.of({"data": "/d/colours.jsonl", "gpus": 2, **start, **settings})
        run = RunDirectory.create(config)
        run.write_launch(Launch(config.model, ("cuda:0", "cuda:1"), "a1" * 16))
        run.lock_path.touch()
        begun = time.time() - age
        events: list[dict[str, Any]] = [
            {"time": begun, "kind": "state", "state": "created"},
            {"time": begun + 1, "kind": "state", "state": "preparing"},
            {"time": begun + 2, "kind": "prepared", "key": "a1" * 16, "cached": cached, "seconds": 1.0},
            {"time": begun + 3, "kind": "state", "state": "training"},
        ]
        for step in range(1, steps + 1):
            events += [
                {
                    "time": begun + 3 + 10 * step, "kind": "step", "rank": rank, "world_size": 2,
                    "step": step, "total_steps": max(steps, 3),
                    "loss": 5.5 - 0.5 * step, "tokens_per_second": 1000.0,
                    "tokens": 10000, "step_seconds": 10.0, "learning_rate": 1e-4, "grad_norm": 1.0,
                }
                for rank in (1, 0)
            ]  # fmt: skip
        end = begun + 4 + 10 * steps
        if state == "completed":
            result = {"adapter_dir": str(run.adapter_dir), "final_loss": 5.5 - 0.5 * steps}
            events.append({"time": end, "kind": "result", **result, "tokens_per_second": 2345.6})
        if state is not None:
            events.append({"time": end, "kind": "state", "state": state})
        run.events_path.write_text("".join(json.dumps(event) + "\n" for event in events))
        return run

    return write


@pytest.fixture
def drive() -> Iterator[Callable[[RunDirectory], subprocess.Popen[str]]]:
    """Drives a run in another process: a message for each line of its input, whose end completes the run."""
    started: list[subprocess.Popen[str]] = []

    def start(run: RunDirectory) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVE, str(run.path)], stdin=subprocess.PIPE, text=True
        )
        started.append(process)
        while not run.events_path.read_text().rstrip().endswith('"training"}'):
            assert process.poll() is None
            time.sleep(0.02)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, str, str]]:
    """Types a command; gives its exit code, stdout and stderr."""

    def run(line: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(OS_TRAIN, shlex.split(line)[1:])
        out, err = capfd.readouterr()
        return code, out, err

    return run
