"""Finds ranks that make no progress, by the run's events: hung collectives, dead devices, stopped processes.

Ranks wait for each other in every step, so one that stands still soon silences all. That every rank is silent
is what ends a run, then; that one of them is may be right, as for those that wait while rank 0 saves. Which
one the others wait for is told by how far each has come and, where that is the same, by their stacks.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from opensloth_core.errors import TrainingError
from opensloth_core.launch.rank_progress import STOPPED, UNINTERRUPTIBLE, RankProgress, process_state
from opensloth_core.launch.stacks import main_stack, waits_for_peers
from opensloth_core.readme import more_in_readme
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import EventReader

START_SECONDS = 60.0
"""How long a process may at least take until it says that it has started."""

STACK_SECONDS = 3.0
"""How long ranks may take to write their stacks."""


class Stalled(TrainingError):
    """No rank made progress for longer than the run allows."""


async def watch(run: RunDirectory, world_size: int, timeout_seconds: float) -> None:
    """Watch the ranks of a run that is being started; runs until it is cancelled.

    Args:
        timeout_seconds: how long all of them may be silent; 0 is for ever.

    Raises:
        Stalled: they were; the message names the one that the others wait for.
    """
    reader = EventReader(run.events_path)
    for _ in reader.new_events():  # of attempts before this one
        pass
    ranks = [RankProgress(number, quiet_since=time.monotonic()) for number in range(world_size)]
    poll_seconds = min(1.0, timeout_seconds / 10) or 3600.0
    silent = 0.0
    looked = time.monotonic()
    while True:
        await asyncio.sleep(poll_seconds)
        now = time.monotonic()
        # Time in which this process itself was stopped, or the machine asleep, is not theirs.
        silent += min(now - looked, 2 * poll_seconds)
        busy = [rank.works_alone(now - looked) for rank in ranks]  # all of them, since each remembers
        if any(busy):
            silent = 0.0
        looked = now
        for event in reader.new_events():
            silent = 0.0
            if event["kind"] in ("mark", "step", "pulse") and event["rank"] < world_size:
                ranks[event["rank"]].take(event)
        allowed = timeout_seconds
        if any(rank.pid is None for rank in ranks):
            allowed = max(allowed, START_SECONDS)
        if timeout_seconds and silent > allowed:
            if _await_data(run, ranks):
                silent = 0.0
                continue
            raise Stalled(await _verdict(run, ranks, timeout_seconds))


def _await_data(run: RunDirectory, ranks: Iterable[RankProgress]) -> bool:
    """Whether all have loaded the model and the data is not ready."""
    return not run.is_prepared() and all(rank.doing == "loaded" for rank in ranks)


async def _verdict(run: RunDirectory, ranks: list[RankProgress], timeout_seconds: float) -> str:
    await _write_stacks(run, ranks)
    stuck = _stuck(ranks)
    waiting = [rank for rank in ranks if rank not in stuck]
    logs = ", ".join(str(run.log_path(rank.number)) for rank in stuck)
    if waiting or len(ranks) == 1:
        who = f"{_named(stuck)} made no progress for {timeout_seconds:g} s"
        others = f", and {_named(waiting)} wait{'s' if len(waiting) == 1 else ''} for it" if waiting else ""
    else:
        who = f"no rank made progress for {timeout_seconds:g} s, and none is behind the others"
        others = ""
    return (
        f"{who}: {'; '.join(rank.told for rank in stuck)}{others}. What it was doing is at the end of "
        f"{logs}. Look at its device and disk; where a step, a load or a save does take so long, raise "
        f"--stall-timeout (0 waits for ever){more_in_readme('A run that was killed')}"
    )


def _stuck(ranks: list[RankProgress]) -> list[RankProgress]:
    """Those that the others wait for; all of them where it cannot be told."""
    stopped = [rank for rank in ranks if rank.process_state in (STOPPED, UNINTERRUPTIBLE)]
    if stopped:
        return stopped
    least = min(rank.position for rank in ranks)
    behind = [rank for rank in ranks if rank.position == least]
    if len(behind) < len(ranks):
        return behind
    return [rank for rank in ranks if not waits_for_peers(rank.stack)] or ranks


def _named(ranks: list[RankProgress]) -> str:
    numbers = ", ".join(str(rank.number) for rank in ranks)
    return f"rank{'s' if len(ranks) > 1 else ''} {numbers}"


async def _write_stacks(run: RunDirectory, ranks: list[RankProgress]) -> None:
    """Have every rank write the stacks of its threads into its log, and read what its main thread does."""
    sizes = {rank.number: _size(run.log_path(rank.number)) for rank in ranks}
    for rank in ranks:
        rank.process_state = process_state(rank.pid)
        # Only who said "started" takes the signal; it would end others.
        if rank.pid is not None and _is_of(run, rank.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(rank.pid, signal.SIGUSR1)
                os.kill(rank.pid, signal.SIGCONT)  # a stopped one writes nothing
    deadline = time.monotonic() + STACK_SECONDS
    while not all(rank.stack for rank in ranks) and time.monotonic() < deadline:
        await asyncio.sleep(STACK_SECONDS / 10)
        for rank in ranks:
            with contextlib.suppress(OSError), run.log_path(rank.number).open("rb") as log:
                log.seek(sizes[rank.number])
                rank.stack = main_stack(log.read().decode(errors="replace"))


def _is_of(run: RunDirectory, pid: int) -> bool:
    try:
        return str(run.path).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
