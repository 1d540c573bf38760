"""The ranks of a run as a gang: they start one after the other, and live and die together."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.process import first_failure
from opensloth_core.launch.rank import run_rank
from opensloth_core.launch.restarts import with_restarts
from opensloth_core.launch.watchdog import watch
from opensloth_core.runs.directory import RunDirectory

Error = TypeVar("Error", bound=BaseException)
Member = Callable[[], Awaitable[None]]

rank_spawned: ContextVar[asyncio.Event] = ContextVar("rank_spawned")
"""For whoever starts a rank's process within a member of the gang: to be set once it exists."""


async def train_gang(run: RunDirectory, members: Sequence[Member]) -> None:
    """Run the ranks of a run to their end, watched and restarted as its configuration says.

    Raises:
        OpenSlothError: the failure of the rank that failed first, or `Stalled`.
    """
    timeout_seconds = run.config().stall_timeout_seconds

    async def attempt() -> None:
        await run_gang(members, watch(run, len(members), timeout_seconds))

    await with_restarts(run, attempt)


async def run_gang(members: Sequence[Member], watchdog: Coroutine[Any, Any, None] | None = None) -> None:
    """Run all members to their end; when one fails, the others are cancelled.

    The next member starts once the one before has set `rank_spawned` (or has ended): eight at once
    overload Prefect's SQLite for seconds. Nobody waits for a rank to reach the rendezvous, which
    needs all of them.

    Args:
        watchdog: runs beside them, and what it raises ends them.

    Raises:
        OpenSlothError: the failure of the member that failed first.
    """
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watchdog) if watchdog else None
            started = []
            for member in members:
                spawned = asyncio.Event()
                token = rank_spawned.set(spawned)
                running = group.create_task(_run(member))
                started.append(running)
                rank_spawned.reset(token)
                up = asyncio.create_task(spawned.wait())
                try:
                    await asyncio.wait({running, up}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    up.cancel()
            if watching:
                await asyncio.wait(started)
                watching.cancel()
    except* OpenSlothError as failures:
        raise first_failure(_leaves(failures)) from None


async def run_ranks(run: RunDirectory, on_line: Callable[[int, str], None]) -> None:
    """Run every rank of a run as plain processes.

    Args:
        on_line: receives every line of every rank, with the rank's number.

    Raises:
        OpenSlothError: the failure of the rank that failed first.
    """
    launch = run.launch()

    def member(rank: int) -> Member:
        return lambda: run_rank(run, launch, rank, lambda line: on_line(rank, line), rank_spawned.get().set)

    await train_gang(run, [member(rank) for rank in range(launch.world_size)])


async def together(*work: Coroutine[Any, Any, object]) -> None:
    """Run some work at the same time to its end; when one part fails, the others are cancelled.

    Raises:
        OpenSlothError: the failure that brought the others about. Any other exception, a bug, goes before.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
    except BaseExceptionGroup as failures:
        leaves = _leaves(failures)
        bugs = [error for error in leaves if not isinstance(error, OpenSlothError)]
        ours = [error for error in leaves if isinstance(error, OpenSlothError)]
        raise (bugs[0] if bugs else first_failure(ours)) from None


async def _run(member: Member) -> None:
    await member()


def _leaves(group: BaseExceptionGroup[Error]) -> list[Error]:
    found: list[Error] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
