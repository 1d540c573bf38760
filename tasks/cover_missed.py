"""The task that keeps firings from piling up: one of them looks at the source for all that are due."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
from prefect import get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Crashed

from tasks.driven import is_driven

_LOOKED_AT = [StateType.SCHEDULED, StateType.RUNNING]

_MOMENT = timedelta(minutes=1)
"""How long a firing that finds the model locked may take to end."""

_ENDING_SECONDS = 20.0
"""How long one that let go of the lock, maybe on another machine, may take to say how it ended."""


@task(name="cover-missed", cache_policy=NO_CACHE, persist_result=False)
async def cover_missed() -> None:
    """Cancel firings of the same deployment that are due by now, and mark those whose process is gone.

    Call it while holding the lock of the model, before its source is looked at: whatever they would have
    found is found now, and none of them can be at work, only at its end.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None or flow_run.deployment_id is None:
        return
    logger, now = get_run_logger(), datetime.now(UTC)
    try:
        async with get_client() as client:
            others = await client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[flow_run.deployment_id])),
                flow_run_filter=FlowRunFilter(
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_LOOKED_AT))
                ),
            )
            same = [one for one in others if one.id != flow_run.id and one.parameters == flow_run.parameters]
            for other in same:
                if _is_due(other, now):
                    message = f"due while another was at work, or no worker was; {flow_run.name} covers it"
                    await client.set_flow_run_state(other.id, Cancelled(message=message), force=True)
                    logger.info("covers %s, which was due too", other.name)
            silent = [other for other in same if _is_silent(other, now)]
            if silent:
                await asyncio.sleep(_ENDING_SECONDS)
            for other in silent:
                if (await client.read_flow_run(other.id)).state_type == StateType.RUNNING:
                    await client.set_flow_run_state(
                        other.id, Crashed(message="its process ended without saying how"), force=True
                    )
                    logger.warning("%s had ended without saying how", other.name)
    except httpx.HTTPError as err:
        logger.warning("firings that were missed cannot be cancelled: %s", err)


def _is_due(other: FlowRun, now: datetime) -> bool:
    if other.state_type != StateType.SCHEDULED:
        return False
    expected: datetime | None = other.expected_start_time
    return other.state_name == "AwaitingConcurrencySlot" or (expected is not None and expected <= now)


def _is_silent(other: FlowRun, now: datetime) -> bool:
    """Whether it should have said by now how it ended, unless it just does."""
    begun: datetime | None = other.start_time
    is_running = other.state_type == StateType.RUNNING
    return is_running and begun is not None and begun < now - _MOMENT and not is_driven(other)
