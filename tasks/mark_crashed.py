"""Brings Prefect's page up to date with runs that ended while nobody could tell it.

A process that is killed by SIGKILL tells nobody, and one whose server was gone told only its own record.
Prefect would show both as Running for ever.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from prefect import State, get_client, runtime
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Completed, Crashed, Failed

from opensloth_core.runs.abandoned import Ended, ends_by_flow_run, how_ended, mark_abandoned
from opensloth_core.runs.directory import RunDirectory

UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]

STATES: dict[str, Callable[..., State[Any]]] = {
    "completed": Completed,
    "failed": Failed,
    "cancelled": Cancelled,
    "crashed": Crashed,
}
"""Prefect's word for how a run ended."""

logger = logging.getLogger(__name__)


async def mark_crashed() -> None:
    """Record that abandoned runs crashed, and tell Prefect how runs ended that it takes for unfinished.

    Whoever starts next does this. Where Prefect does not answer, it is left to the one after.
    """
    await asyncio.to_thread(mark_abandoned)
    try:
        await _tell_prefect()
    except httpx.HTTPError as err:
        logger.warning("runs that ended cannot be marked in Prefect: %s", err)


async def _tell_prefect() -> None:
    unfinished = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED)))
    async with get_client() as client:
        found = await client.read_flow_runs(flow_run_filter=unfinished)
        others = [flow_run for flow_run in found if str(flow_run.id) != runtime.flow_run.id]
        if not others:
            return
        ends = await asyncio.to_thread(_ends, others)
        for flow_run in others:
            end = ends.get(str(flow_run.id))
            # One that started later takes the run up again, and does not drive it yet.
            if end is not None and _begun(flow_run) < end.time:
                await client.set_flow_run_state(
                    flow_run.id, STATES[end.state](message=end.message), force=True
                )


async def end_ranks(run_dir: Path) -> None:
    """Tell Prefect that no rank of a run goes on, and which ones were only ended with it.

    A rank that is cancelled before it begins would stay Pending, and one that is cancelled later be Crashed,
    as if it were at fault.
    """
    types = [*UNFINISHED, StateType.CRASHED]
    ended = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)))
    try:
        async with get_client() as client:
            newest = await client.read_flow_runs(
                flow_run_filter=ended, sort=FlowRunSort.EXPECTED_START_TIME_DESC
            )
            for flow_run in newest:
                given = flow_run.parameters
                if given.get("run_dir") == str(run_dir) and "rank" in given:
                    why = "began" if flow_run.state_type == StateType.PENDING else "was done"
                    message = f"the run ended before this rank {why}; the run's own page says why"
                    await client.set_flow_run_state(flow_run.id, Cancelled(message=message), force=True)
    except httpx.HTTPError as err:
        logger.warning("the ranks' ends cannot be told to Prefect: %s", err)


def _ends(flow_runs: list[FlowRun]) -> dict[str, Ended]:
    """How the runs of this machine ended that these flow runs drove, by flow run."""
    found = {}
    for flow_run in flow_runs:
        run_dir = flow_run.parameters.get("run_dir")  # subflows of ranks have it too
        if run_dir and Path(str(run_dir)).is_dir() and (end := how_ended(RunDirectory(Path(str(run_dir))))):
            found[str(flow_run.id)] = end
    if len(found) < len(flow_runs):
        found |= ends_by_flow_run({str(flow_run.id) for flow_run in flow_runs} - found.keys())
    return found


def _begun(flow_run: FlowRun) -> float:
    begun: datetime | None = flow_run.start_time or flow_run.expected_start_time
    return begun.timestamp() if begun else 0.0
