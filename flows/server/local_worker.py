"""Prefect's process worker, which knows what it runs and ends it cleanly when it is stopped."""

import asyncio
import contextlib
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

LAST_LOOK_SECONDS = 2.0
"""How long the server stays for commands that follow a cancelled run, which look every half second."""

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
            self._left: list[FlowRun] | None = None
            self._is_stopping = False

        async def get_and_submit_flow_runs(self) -> list[FlowRun]:
            if self._is_stopping:
                return []
            await self._cancel_left_behind()
            return await super().get_and_submit_flow_runs()

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
            left, asked = await self._left_behind(_UNFINISHED), set[UUID]()
            for run in left:
                _terminate(run)
            while (self._running or any(map(_lives, left))) and time.monotonic() < deadline:
                for flow_run_id in self._running - asked:
                    print(f"cancelling flow run {flow_run_id}", file=sys.stderr, flush=True)
                    state: Any = Cancelling(message="the server is being stopped")
                    await self.client.set_flow_run_state(flow_run_id, state)
                asked |= self._running
                await asyncio.sleep(0.1)
            if asked or left:
                await asyncio.sleep(LAST_LOOK_SECONDS)

        async def _cancel_left_behind(self) -> None:
            """End what an earlier worker left behind and somebody cancels; Prefect's knows its own runs."""
            if self._left is None:
                self._left = await self._left_behind(_UNFINISHED)
            self._left = [run for run in self._left if _drives(run)]
            if not self._left:
                return
            for run in await self._left_behind([StateType.CANCELLING]):
                if any(run.id == known.id for known in self._left):
                    print(f"cancelling flow run {run.id}", file=sys.stderr, flush=True)
                    _terminate(run)
                    self._left = [known for known in self._left if known.id != run.id]

        async def _left_behind(self, states: list[StateType]) -> list[FlowRun]:
            """Flow runs in some states whose processes live and that this worker does not know."""
            wanted = FlowRunFilterState(type=FlowRunFilterStateType(any_=states))
            found = await self.client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=wanted),
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name])),
            )
            return [run for run in found if run.id not in self._running and _drives(run)]


def _terminate(flow_run: FlowRun) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(int(flow_run.infrastructure_pid or 0), signal.SIGTERM)


def _drives(flow_run: FlowRun) -> bool:
    """Whether the process that is recorded for a flow run is still that of the flow run."""
    try:
        environment = Path(f"/proc/{flow_run.infrastructure_pid}/environ").read_bytes()
    except (OSError, ValueError):
        return False
    return f"{_FLOW_RUN_VARIABLE}={flow_run.id}".encode() in environment.split(b"\0")


def _lives(flow_run: FlowRun) -> bool:
    try:
        stat = Path(f"/proc/{flow_run.infrastructure_pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2][:1] != "Z"
