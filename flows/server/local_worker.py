"""Prefect's process worker, which knows what it runs and ends it cleanly when it is stopped."""

import asyncio
import contextlib
import os
import signal
import sys
import time
import warnings
from datetime import UTC, datetime, timedelta
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
from prefect.client.schemas.objects import FlowRun, StateType, WorkerStatus
from prefect.states import Cancelled, Cancelling, Crashed
from prefect.workers.process import ProcessWorker

from tasks.driven import is_driven
from tasks.mark_crashed import mark_crashed

CANCEL_SECONDS = 40.0
"""How long runs may take to end; Prefect kills a flow 30 s after it asked it to."""

LAST_LOOK_SECONDS = 2.0
"""How long the server stays for commands that follow a cancelled run, which look every half second."""

_BEGINNING = timedelta(minutes=1)
"""How long a worker may take from taking a run to the record of its process."""

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
            await self._see_to_left_behind()
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

        async def _see_to_left_behind(self) -> None:
            """End what an earlier worker left behind and somebody cancels, and mark what of it has died.

            Prefect's own worker sees to its own runs only. After a reboot nobody else would say that a run is
            over, and what counts those that go on, such as limits, would count it for ever.
            """
            if self._left is None:
                self._left = await self._unfinished(_UNFINISHED)
            if dead := [run for run in self._left if not is_driven(run)]:
                self._left = [run for run in self._left if is_driven(run)]
                self._left += await self._marked_crashed({run.id for run in dead})
            if not any(map(is_driven, self._left)):
                return
            for run in await self._left_behind([StateType.CANCELLING]):
                if any(run.id == known.id for known in self._left):
                    print(f"cancelling flow run {run.id}", file=sys.stderr, flush=True)
                    _terminate(run)
                    self._left = [known for known in self._left if known.id != run.id]

        async def _marked_crashed(self, flow_run_ids: set[UUID]) -> list[FlowRun]:
            """Mark those that have not said how they ended; gives those of which it is not certain yet."""
            if await self._shares_pool():
                # A flow run says which process drives it, and not on which machine.
                return [run for run in await self._unfinished(_UNFINISHED) if run.id in flow_run_ids]
            await mark_crashed()  # knows it where a run's own record does
            uncertain = []
            for run in await self._unfinished(_UNFINISHED):  # as it is after the look at the process
                if run.id not in flow_run_ids:
                    continue
                if _may_begin(run):
                    uncertain.append(run)
                    continue
                print(f"flow run {run.id} has no process any more", file=sys.stderr, flush=True)
                state: Any = Crashed(message="its process ended without saying how")
                if run.state_type == StateType.CANCELLING:
                    state = Cancelled()
                await self.client.set_flow_run_state(run.id, state, force=True)
            return uncertain

        async def _shares_pool(self) -> bool:
            """Whether a worker that somebody else started takes runs of the pool too."""
            workers = await self.client.read_workers_for_work_pool(self._work_pool_name)
            return any(one.name != self.name and one.status == WorkerStatus.ONLINE for one in workers)

        async def _left_behind(self, states: list[StateType]) -> list[FlowRun]:
            """Flow runs in some states whose processes live and that this worker does not know."""
            return [run for run in await self._unfinished(states) if is_driven(run)]

        async def _unfinished(self, states: list[StateType]) -> list[FlowRun]:
            """Flow runs of the pool in some states that this worker does not know."""
            wanted = FlowRunFilterState(type=FlowRunFilterStateType(any_=states))
            found = await self.client.read_flow_runs(
                flow_run_filter=FlowRunFilter(state=wanted),
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name])),
            )
            return [run for run in found if run.id not in self._running]


def _may_begin(flow_run: FlowRun) -> bool:
    """Whether a worker may have taken a flow run just now, whose process is not recorded yet."""
    if flow_run.infrastructure_pid is not None:
        return is_driven(flow_run)
    return flow_run.state is not None and datetime.now(UTC) - flow_run.state.timestamp < _BEGINNING


def _terminate(flow_run: FlowRun) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(int(flow_run.infrastructure_pid or 0), signal.SIGTERM)


def _lives(flow_run: FlowRun) -> bool:
    try:
        stat = Path(f"/proc/{flow_run.infrastructure_pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2][:1] != "Z"
