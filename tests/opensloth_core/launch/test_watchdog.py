"""Ranks that stand still are found by their events, and the one that the others wait for is named."""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.launch.process import run_process
from opensloth_core.launch.watchdog import Stalled, watch
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events

REPOSITORY = Path(__file__).parents[3]

# A rank that reports a few steps and then does what its last line says.
RANK = """
import os, sys, time
from pathlib import Path
from opensloth_core.launch.stacks import write_stacks_on_request
from opensloth_core.runs.directory import RunDirectory

run, rank, steps, then = RunDirectory(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
write_stacks_on_request()
run.events.mark("started", rank, pid=os.getpid())
for mark in ("imported", "loaded"):
    run.events.mark(mark, rank)

def wait_in_a_collective():
    time.sleep(300)

def read_a_batch():
    time.sleep(300)

def work():
    while True:
        run.events.write("pulse", rank=rank)
        time.sleep(0.2)

if then != "wait_for_data":
    for mark in ("data", "joined", "ready"):
        run.events.mark(mark, rank)
    for step in range(steps):
        run.events.write("step", rank=rank, step=step + 1)
if then == "wait_for_data":
    time.sleep(300)
file = "/site-packages/torch/distributed/c10d.py" if "collective" in then else "feed.py"
exec(compile(then + "()", file, "exec"))
"""


@pytest.fixture
def run(home: Path) -> RunDirectory:
    return RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": "m"}))


@pytest.fixture
def watched(run: RunDirectory, tmp_path: Path) -> Callable[..., str]:
    """Starts ranks, each given by its steps and what it does then; gives what the watchdog raises."""
    (tmp_path / "standing_rank.py").write_text(RANK)

    async def watch_them(
        timeout_seconds: float, ranks: tuple[tuple[int, str], ...], then: Any, patience_seconds: float
    ) -> str:
        watching = asyncio.create_task(watch(run, len(ranks), timeout_seconds))
        await asyncio.sleep(0)
        running = [
            asyncio.create_task(
                run_process(
                    name=f"rank {rank}",
                    module="standing_rank",
                    arguments=[str(run.path), str(rank), str(steps), does],
                    env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"},
                    log_path=run.log_path(rank),
                    on_line=lambda line: None,
                )
            )
            for rank, (steps, does) in enumerate(ranks)
        ]
        try:
            if then is not None:
                await then()
            await asyncio.wait_for(watching, patience_seconds)
        except Stalled as err:
            return str(err)
        except TimeoutError:
            return ""
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return ""

    def start(*ranks: tuple[int, str], then: Any = None, patience_seconds: float = 60) -> str:
        return asyncio.run(watch_them(1.5, ranks, then, patience_seconds))

    return start


def test_a_rank_that_is_behind_is_named_and_those_that_wait_are_said_to(
    run: RunDirectory, watched: Callable[..., str]
) -> None:
    run.mark_prepared("key")
    said = watched((3, "wait_in_a_collective"), (2, "read_a_batch"), (3, "wait_in_a_collective"))
    assert said.startswith("rank 1 made no progress for 1.5 s: rank 1 was last seen at step 2, ")
    assert ", and ranks 0, 2 wait for it." in said
    assert str(run.log_path(1)) in said and "--stall-timeout" in said
    assert "in read_a_batch" in run.log_path(1).read_text()


def test_of_ranks_at_the_same_step_the_one_outside_collectives_is_named(
    run: RunDirectory, watched: Callable[..., str]
) -> None:
    run.mark_prepared("key")
    # Rank 0's last event is the older one, and yet it is the one that waits.
    said = watched((3, "wait_in_a_collective"), (3, "read_a_batch"))
    assert said.startswith("rank 1 made no progress") and "rank 0 waits for it" in said


def test_where_it_cannot_be_told_nobody_is_blamed(run: RunDirectory, watched: Callable[..., str]) -> None:
    run.mark_prepared("key")
    said = watched((3, "wait_in_a_collective"), (3, "wait_in_a_collective"))
    assert said.startswith("no rank made progress for 1.5 s, and none is behind the others")


def test_a_stopped_rank_is_said_to_be_stopped(run: RunDirectory, watched: Callable[..., str]) -> None:
    run.mark_prepared("key")

    async def stop() -> None:
        while len(started := [e for e in events(run) if e.get("name") == "started"]) < 2 or not steps(run):
            await asyncio.sleep(0.05)
        (pid,) = [event["pid"] for event in started if event["rank"] == 1]
        os.kill(pid, signal.SIGSTOP)

    said = watched((3, "read_a_batch"), (3, "read_a_batch"), then=stop)
    assert re.search(r"rank 1 was last seen at \w+.*; somebody stopped its process \d+ \(SIGSTOP\)", said), (
        said
    )
    assert "and rank 0 waits for it" in said
    assert "most recent call first" in run.log_path(1).read_text()


def events(run: RunDirectory) -> list[dict[str, Any]]:
    return read_events(run.events_path)


def steps(run: RunDirectory) -> list[dict[str, Any]]:
    return [event for event in events(run) if event["kind"] == "step"]


def test_one_rank_at_work_is_enough(run: RunDirectory, watched: Callable[..., str]) -> None:
    run.mark_prepared("key")
    assert watched((3, "work"), (3, "wait_in_a_collective"), patience_seconds=6) == ""


def test_ranks_that_wait_for_the_data_are_not_standing_still(
    run: RunDirectory, watched: Callable[..., str]
) -> None:
    assert watched((0, "wait_for_data"), (0, "wait_for_data"), patience_seconds=6) == ""
