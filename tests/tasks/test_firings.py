"""On a real Prefect server, one firing of a schedule makes up for all that came when it could not."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.flow_engine import run_flow_async
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.states import Completed, Running, Scheduled

from tasks.cover_missed import cover_missed
from tasks.fire_again import fire_again

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.usefixtures("prefect_api")]

DAY = timedelta(days=1)
TURNED_AWAY = "already running"


class Firings:
    """A deployment, and what was fired of it."""

    def __init__(self, client: Any, body: Callable[[], Awaitable[None]]) -> None:
        @flow
        async def fired(name: str) -> None:
            await body()

        self._client, self._flow = client, fired

    async def create(self) -> "Firings":
        flow_id = await self._client.create_flow(self._flow)
        self.deployment_id: UUID = await self._client.create_deployment(flow_id, str(uuid4()))
        return self

    async def fire(self, when: datetime, name: str = "my-model") -> FlowRun:
        run: FlowRun = await self._client.create_flow_run_from_deployment(
            self.deployment_id, parameters={"name": name}, state=Scheduled(scheduled_time=when)
        )
        return run

    async def begin(self, name: str) -> FlowRun:
        """One that runs, for all that Prefect knows."""
        run = await self.fire(datetime.now(UTC), name)
        await self._client.set_flow_run_state(run.id, Running(), force=True)
        return run

    async def turned_away(self, name: str) -> None:
        """One that found another at work, as it was from its beginning to its end."""
        state: Any = Completed(name=TURNED_AWAY)
        await self._client.set_flow_run_state((await self.begin(name)).id, state, force=True)

    async def run(self, run: FlowRun) -> None:
        """As a worker does."""
        changed: Any = {PREFECT_LOGGING_TO_API_ENABLED: False}  # else its last lines find no server
        with temporary_settings(changed):
            await run_flow_async(self._flow, flow_run=run, parameters=run.parameters)

    async def ended(self) -> dict[UUID, str]:
        """The name of the state of every one."""
        runs = await self._client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[self.deployment_id]))
        )
        return {run.id: "due" if run.state.is_scheduled() else run.state_name for run in runs}


def test_of_three_late_firings_one_runs_and_two_are_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.cover_missed._MOMENT", timedelta(0))
    monkeypatch.setattr("tasks.cover_missed._ENDING_SECONDS", 0.1)

    async def check() -> None:
        now = datetime.now(UTC)
        async with get_client() as client:
            firings = await Firings(client, cover_missed).create()
            late = [await firings.fire(now - days * DAY) for days in (3, 2, 1)]
            tomorrow = await firings.fire(now + DAY)
            other_model = await firings.fire(now - DAY, name="another")
            killed, ending = await firings.begin("my-model"), await firings.begin("my-model")
            # It has let go of the lock, and is about to say how it ended.
            process = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(60)"],
                env={**os.environ, "PREFECT__FLOW_RUN_ID": str(ending.id)},
            )
            await client.update_flow_run(ending.id, infrastructure_pid=str(process.pid))
            try:
                await firings.run(late[1])
            finally:
                process.kill()
                process.wait()
            assert await firings.ended() == {
                late[0].id: "Cancelled",
                late[1].id: "Completed",
                late[2].id: "Cancelled",
                tomorrow.id: "due",
                other_model.id: "due",
                killed.id: "Crashed",
                ending.id: "Running",
            }

    asyncio.run(check())


def test_firings_that_were_turned_away_are_made_up_for_by_one() -> None:
    async def check() -> None:
        async with get_client() as client:

            async def meanwhile() -> None:
                looked = datetime.now(UTC)
                for name in names:
                    await firings.turned_away(name)
                await fire_again(looked, TURNED_AWAY)

            firings = await Firings(client, meanwhile).create()
            await firings.turned_away("my-model")  # before it looked
            for names, more in ((["another"], 0), (["my-model", "my-model"], 1)):
                before = await firings.ended()
                await firings.run(await firings.fire(datetime.now(UTC)))
                new = (await firings.ended()).items() - before.items()
                assert sorted(state for _, state in new) == sorted(
                    ["Completed", *["due"] * more, *[TURNED_AWAY] * len(names)]
                )

    asyncio.run(check())
