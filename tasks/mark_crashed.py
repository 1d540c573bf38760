"""Brings Prefect's page up to date with runs whose process was killed, which would be Running for ever."""

import asyncio

from prefect import State, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

from opensloth_core.runs.abandoned import mark_abandoned
from opensloth_core.runs.events import read_events

UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


async def mark_crashed() -> None:
    """Record that abandoned runs crashed, in their own records and for their flow runs in Prefect.

    Whoever starts next does this, since a process that is killed by SIGKILL cannot.
    """
    abandoned = await asyncio.to_thread(mark_abandoned)
    if not abandoned:
        return
    unfinished = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED)))
    async with get_client() as client:
        flow_runs = await client.read_flow_runs(flow_run_filter=unfinished)
        for run in abandoned:
            state: State[None] = Crashed(message=f"the process that drove {run.path.name} was killed")
            own = {str(e["flow_run_id"]) for e in read_events(run.events_path) if e["kind"] == "flow"}
            for flow_run in flow_runs:
                # Subflows of its ranks name its directory.
                if str(flow_run.id) in own or flow_run.parameters.get("run_dir") == str(run.path):
                    await client.set_flow_run_state(flow_run.id, state, force=True)
