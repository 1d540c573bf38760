"""The task that makes up for firings which ended at once because another was at work: one for all of them."""

from datetime import datetime

import httpx
from prefect import get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger


@task(name="fire-again", cache_policy=NO_CACHE, persist_result=False)
async def fire_again(looked: datetime, turned_away: str) -> None:
    """Ask for one more run of the same deployment where firings came that found this one at work.

    What they were fired for may have landed after this one looked at its source. Call it once the lock of the
    model is free, so that whoever was turned away is seen here.

    Args:
        looked: when this one began to look at its source.
        turned_away: name of the state that such a firing completes in.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None or flow_run.deployment_id is None:
        return
    logger = get_run_logger()
    try:
        async with get_client() as client:
            later = await client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[flow_run.deployment_id])),
                flow_run_filter=FlowRunFilter(start_time=FlowRunFilterStartTime(after_=looked)),
            )
            found = [
                other
                for other in later
                if other.id != flow_run.id
                and other.parameters == flow_run.parameters
                and _is_turned_away(other, turned_away)
            ]
            if found:
                await client.create_flow_run_from_deployment(
                    flow_run.deployment_id, parameters=flow_run.parameters
                )
                logger.info("fires once more for %d that came meanwhile", len(found))
    except httpx.HTTPError as err:
        logger.warning("firings that came meanwhile cannot be made up for: %s", err)


def _is_turned_away(other: FlowRun, name: str) -> bool:
    # One that runs has not said so yet, or has just taken the lock; another firing finds nothing new then.
    return other.state_name == name or other.state_type == StateType.RUNNING
