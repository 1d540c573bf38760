"""Prefect's process worker, which knows what it runs and ends it cleanly when it is stopped."""

import asyncio
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelling
from prefect.workers.process import ProcessWorker

CANCEL_SECONDS = 40.0
"""How long runs may take to end; Prefect kills a flow 30 s after it asked it to."""

_FLOW_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
_UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]

with warnings.catch_warnings():
    # There is one worker in this process, so it does not matter which class Prefect finds by its type.
    warnings.filterwarnings("ignore", message="Type .* matches existing registered type")

    class LocalWorker(ProcessWorker):
        """The worker of `os-train server`."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self._running: set[UUID] = set()
            self._is_stopping = False

        async def get_and_submit_flow_runs(self) -> list[FlowRun]:
            return [] if self._is_stopping else await super().get_and_submit_flow_runs()

        async def run(self, flow_run: FlowRun, configuration: Any, task_status: Any = None) -> Any:
            self._running.add(flow_run.id)
            try:
                return await super().run(flow_run, configuration, task_status)
            finally:
                self._running.discard(flow_run.id)

        async def end_runs(self) -> None:
            """Take nothing more, cancel what runs and wait for its end.

            Also of what an earlier worker left behind that was killed.
            """
            self._is_stopping = True
            deadline = time.monotonic() + CANCEL_SECONDS
            left, asked = await self._left_behind(), set[UUID]()
            for process in left:
                os.kill(process, signal.SIGTERM)
            while (self._running or any(map(_lives, left))) and time.monotonic() < deadline:
                for flow_run_id in self._running - asked:
                    print(f"cancelling flow run {flow_run_id}", file=sys.stderr, flush=True)
                    state: Any = Cancelling(message="the server is being stopped")
                    await self.client.set_flow_run_state(flow_run_id, state)
                asked |= self._running
                await asyncio.sleep(0.1)

        async def _left_behind(self) -> list[int]:
            """Processes of flows that this worker does not know."""
            states = FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED))
            found = await self.client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=states),
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name])),
            )
            return [
                int(run.infrastructure_pid)
                for run in found
                if run.id not in self._running and run.infrastructure_pid and _drives(run)
            ]


def _drives(flow_run: FlowRun) -> bool:
    """Whether the process that is recorded for a flow run is still that of the flow run."""
    try:
        environment = Path(f"/proc/{flow_run.infrastructure_pid}/environ").read_bytes()
    except (OSError, ValueError):
        return False
    return f"{_FLOW_RUN_VARIABLE}={flow_run.id}".encode() in environment.split(b"\0")


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False
