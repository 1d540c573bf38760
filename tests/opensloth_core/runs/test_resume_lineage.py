"""A run that is killed again and again ends in the adapter of one that never was, bit for bit.

Real processes: two ranks over gloo with Unsloth and TRL, LoRA with dropout, so that random numbers count.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from opensloth_core import run_training
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.training.checkpoint.manifest import newest_whole
from tests.warm.ranks import use_warm_ranks

NUM_STEPS, SAVE_STEPS = 24, 4

SETTINGS = {
    "gpus": 2,
    "max_seq_length": 192,
    "max_steps": NUM_STEPS,
    "batch_size": 2,
    "learning_rate": 0.01,
    "dtype": "float32",
    "lora_rank": 4,
    "lora_dropout": 0.1,
    "save_steps": SAVE_STEPS,
    "eval_generations": 0,
}

ATTEMPT_SECONDS = 250


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_killed_at_any_moment_and_resumed_ends_in_the_same_adapter(
    tiny_model_dir: Path, chat_data: Path, home: Path, two_cores: None, warm_python: Path
) -> None:
    seed = random.randrange(10**6)
    print(f"seed of the kills: {seed}")
    draw = random.Random(seed)
    settings = {"data": str(chat_data), "model": str(tiny_model_dir), **SETTINGS}

    # Nobody kills the first run and the last attempt; their ranks have one thread each, as the others.
    with pytest.MonkeyPatch.context() as patch:
        use_warm_ranks(warm_python, patch)
        undisturbed = run_training(settings)
    expected = losses_of(undisturbed.run_dir)
    assert sorted(expected) == list(range(1, NUM_STEPS + 1))

    run = kill_driver_when(settings, lambda run: last_step(run) >= 1)
    # None as a rule; on a fast machine the run may have come to one before it was killed.
    first = newest_whole(run.checkpoints_dir)
    for kill in (
        lambda settings: kill_driver_while_a_checkpoint_is_written(settings, "optimizer.json"),
        lambda settings: kill_one_rank_when(settings, draw.randrange(2), last_step(run) + draw.randint(1, 5)),
        lambda settings: kill_driver_while_a_checkpoint_is_written(settings, "rank-1.json"),
        lambda settings: kill_driver_when(settings, is_saving_its_result),
    ):
        assert kill({**settings, "resume": "auto"}).path == run.path
    with pytest.MonkeyPatch.context() as patch:
        use_warm_ranks(warm_python, patch)
        ended = run_training(settings, resume="auto")

    assert ended.run_dir == run.path
    resumed = resumed_steps(run)
    assert resumed[0] == (first.step if first else 0)
    assert resumed == sorted(resumed)
    assert all(step % SAVE_STEPS == 0 for step in resumed)
    assert resumed[-1] == NUM_STEPS - SAVE_STEPS
    # Also the steps that were run twice gave the same.
    assert losses_of(run.path) == expected
    for path in undisturbed.adapter_dir.glob("*.safetensors"):
        assert (ended.adapter_dir / path.name).read_bytes() == path.read_bytes(), f"seed {seed}"
    assert not list(run.checkpoints_dir.glob("*.partial"))


def losses_of(run_dir: Path) -> dict[int, float]:
    """Loss of each step, which has to be the same however often and on whatever rank it was run."""
    losses: dict[int, float] = {}
    for event in read_events(run_dir / "events.jsonl"):
        if event["kind"] == "step":
            assert losses.setdefault(event["step"], event["loss"]) == event["loss"], event
    return losses


def kill_driver_when(settings: dict[str, Any], is_due: Callable[[RunDirectory], bool]) -> RunDirectory:
    """Kill the process that started the ranks, which the kernel ends with it."""
    with driver(settings) as (process, run):
        wait_until(process, lambda: is_due(run))
        process.kill()
    return run


def kill_driver_while_a_checkpoint_is_written(settings: dict[str, Any], file: str) -> RunDirectory:
    """Kill it while a rank is held up at a file of the first checkpoint of this attempt."""
    runs = set((Path(os.environ["OPENSLOTH_HOME"]) / "runs").iterdir())
    resumed_before = {path: len(resumed_steps(RunDirectory(path))) for path in runs}
    with driver(settings) as (process, run):
        # The attempt has removed what the one before left, and takes seconds to import the rest.
        wait_until(process, lambda: len(resumed_steps(run)) > resumed_before[run.path])
        torn = run.checkpoints_dir / f"step-{resumed_steps(run)[-1] + SAVE_STEPS:06d}.partial"
        torn.mkdir(parents=True)
        os.mkfifo(torn / file)  # opening it to write waits for a reader, who never comes
        wait_until(process, lambda: (torn / "weights-00001.safetensors").exists())
        time.sleep(0.2)
        process.kill()
    assert torn.is_dir() and not (torn / "manifest.json").exists()
    return run


def resumed_steps(run: RunDirectory) -> list[int]:
    return [event["step"] for event in read_events(run.events_path) if event["kind"] == "resumed"]


def kill_one_rank_when(settings: dict[str, Any], rank: int, step: int) -> RunDirectory:
    with driver(settings) as (process, run):
        wait_until(process, lambda: last_step(run) >= step)
        (*_, pid) = re.findall(rf"rank {rank} of 2 on cpu, process (\d+)", run.log_path(rank).read_text())
        os.kill(int(pid), signal.SIGKILL)
        assert process.wait(timeout=60) == 1
    return run


def last_step(run: RunDirectory) -> int:
    """The last step of this attempt."""
    step = 0
    for event in read_events(run.events_path):
        if event["kind"] == "resumed" or event["kind"] == "step":
            step = event["step"]
    return step


def is_saving_its_result(run: RunDirectory) -> bool:
    return any(event.get("state") == "saving" for event in read_events(run.events_path))


DRIVER = """
import json, os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # so that each of two ranks has one thread
from opensloth_core import run_training
from opensloth_core.errors import OpenSlothError
settings = json.loads(sys.argv[1])
try:
    run_training(settings, resume=settings.pop("resume", None))
except OpenSlothError as err:
    sys.exit(str(err))
"""


@contextmanager
def driver(settings: dict[str, Any]) -> Iterator[tuple[subprocess.Popen[bytes], RunDirectory]]:
    """A process that trains, and the run directory it works in; afterwards it and its ranks are gone."""
    import json

    runs = Path(os.environ["OPENSLOTH_HOME"]) / "runs"
    before = set(runs.iterdir())
    process = subprocess.Popen([sys.executable, "-c", DRIVER, json.dumps(settings)])
    try:
        if "resume" not in settings:
            wait_until(process, lambda: set(runs.iterdir()) > before)
        (folder,) = set(runs.iterdir()) - before or {max(runs.iterdir(), key=lambda path: path.name)}
        run = RunDirectory(folder)
        wait_until(process, run.lock_path.exists)
        yield process, run
    finally:
        process.kill()
        process.wait()
        wait_until(None, lambda: not rank_processes())


def rank_processes() -> list[str]:
    """Ranks of this test that are still there."""
    home = os.environ["OPENSLOTH_HOME"].encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes()
        except OSError:
            continue
        if b"opensloth_core.training.worker" in arguments and home in arguments:
            found.append(path.parent.name)
    return found


def wait_until(process: subprocess.Popen[bytes] | None, is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + ATTEMPT_SECONDS
    while not is_true():
        assert process is None or process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.002)
