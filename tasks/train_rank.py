"""The subflow of one rank: owns one process and shows its log."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect import State, flow

from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.gang import rank_spawned
from opensloth_core.launch.interrupts import take_signals_back
from opensloth_core.launch.rank import run_rank
from opensloth_core.runs.directory import RunDirectory
from tasks.failed import failed
from tasks.limited_lines import limited
from tasks.run_logger import subflow_line_logger
from tasks.server_gone import ServerGone, unless_gone
from tasks.show import SHOW_SECONDS, is_left_alone

logger = logging.getLogger(__name__)


@dataclass
class _Outcome:
    """What became of a rank's process, for when Prefect cannot be told."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    is_done: bool = False
    failure: OpenSlothError | asyncio.CancelledError | None = None

    def is_only_told(self) -> bool:
        """Whether there is no process, not yet or not any more."""
        return not self.begun.is_set() or self.is_done or self.failure is not None


_outcome: ContextVar[_Outcome] = ContextVar("outcome")


# No result is persisted: on a retry, ranks that had completed would be reused and the others hang.
@flow(name="train-rank", flow_run_name="rank {rank} on {device}", persist_result=False)
async def train_rank(run_dir: Path, rank: int, device: str) -> State | None:
    """Run one rank's process to its end.

    Raises:
        ProcessFailed: the process ended before its work was done.
    """
    take_signals_back()
    run = RunDirectory(run_dir)
    try:
        with limited(subflow_line_logger(), run.log_path(rank)) as lines:
            await _run(run_dir, rank, lines)
    except OpenSlothError as err:
        return failed(err, run)
    return None


async def train_rank_whoever_watches(run_dir: Path, rank: int, device: str) -> None:
    """Run one rank as a subflow, or without one where Prefect's server does not answer.

    How a rank ends is told by its process alone: the server may be gone by then. A rank that is started while
    it does not answer waits for that once, and the ranks after it do not.

    Raises:
        ProcessFailed: the process ended before its work was done.
    """
    outcome = _Outcome()
    token = _outcome.set(outcome)
    try:
        if is_left_alone():
            await _run(run_dir, rank, lambda line: None)
            return
        await _begun_before_it_is_cancelled(asyncio.ensure_future(train_rank(run_dir, rank, device)), outcome)
    except OpenSlothError:
        raise
    except Exception as err:
        if outcome.begun.is_set() and not outcome.is_done and outcome.failure is None:
            raise  # a bug of ours
        logger.warning("rank %d cannot be shown in Prefect: %s: %s", rank, type(err).__name__, err)
        if outcome.failure is not None:
            raise outcome.failure from None
        if not outcome.begun.is_set():
            await _run(run_dir, rank, lambda line: None)
    finally:
        _outcome.reset(token)


async def _begun_before_it_is_cancelled(subflow: "asyncio.Future[Any]", outcome: _Outcome) -> None:
    """Run a subflow; one that is cancelled may begin first, if that does not take long.

    Cut off while Prefect's server makes its run, it would stay Pending there, and nobody would know of it.
    """
    try:
        await unless_gone(subflow, outcome.is_only_told)
    except asyncio.CancelledError:
        if subflow.done():
            raise
        begun = asyncio.ensure_future(outcome.begun.wait())
        try:
            await asyncio.wait({subflow, begun}, timeout=SHOW_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            begun.cancel()
            subflow.cancel()
        with suppress(ServerGone):
            await unless_gone(subflow, outcome.is_only_told)  # it may have failed by itself, and first
        raise


async def _run(run_dir: Path, rank: int, on_line: Callable[[str], None]) -> None:
    outcome, run = _outcome.get(), RunDirectory(run_dir)
    outcome.begun.set()
    try:
        await run_rank(run, run.launch(), rank, on_line, rank_spawned.get().set)
    except (OpenSlothError, asyncio.CancelledError) as err:
        outcome.failure = err
        raise
    outcome.is_done = True
