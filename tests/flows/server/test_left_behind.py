"""Runs whose worker was killed: the next one ends those that somebody cancels, and marks those that died."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

POOL, SHARED = "left-behind", "shared"


@pytest.mark.usefixtures("home")
def test_runs_of_a_killed_worker_are_marked_when_dead_and_ended_once_they_are_cancelled(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_seen_to(prefect_api, monkeypatch))


async def _seen_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect import flow, get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Cancelling, Pending, Running

    from flows.server.local_worker import LocalWorker

    @flow
    def goes_on() -> None: ...

    with temporary_settings({PREFECT_API_URL: address}):
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))

            async def made(state: Any, process: int | None = None) -> UUID:
                run = await client.create_flow_run(goes_on, state=state, work_pool_name=POOL)
                if process is not None:
                    await client.update_flow_run(run.id, infrastructure_pid=str(process))
                return run.id

            async def state_of(run: UUID) -> str | None:
                return (await client.read_flow_run(run)).state_name

            # After a reboot their numbers are none's, or those of others.
            dead = {
                await made(Running(), 2**22 + 1): "Crashed",
                await made(Running(), os.getpid()): "Crashed",
            }
            dead[await made(Cancelling(), 2**22 + 1)] = "Cancelled"
            taken = await made(Pending())  # the process of which is not recorded yet, or never was
            run = await made(Running())
            process = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(100)"],
                env={**os.environ, "PREFECT__FLOW_RUN_ID": str(run)},
            )
            try:
                await client.update_flow_run(run, infrastructure_pid=str(process.pid))
                async with LocalWorker(work_pool_name=POOL, create_pool_if_not_found=False) as worker:
                    await worker.get_and_submit_flow_runs()
                    assert process.poll() is None and await state_of(run) == "Running"
                    assert {one: await state_of(one) for one in dead} == dead
                    assert await state_of(taken) == "Pending"
                    monkeypatch.setattr("flows.server.local_worker._BEGINNING", timedelta(0))
                    await worker.get_and_submit_flow_runs()
                    assert await state_of(taken) == "Crashed"
                    await client.set_flow_run_state(run, Cancelling())
                    await worker.get_and_submit_flow_runs()
                    assert process.wait(20) == -signal.SIGTERM
            finally:
                process.kill()
                process.wait()

            await client.create_work_pool(WorkPoolCreate(name=SHARED, type="process"))
            elsewhere = await client.create_flow_run(goes_on, state=Running(), work_pool_name=SHARED)
            await client.send_worker_heartbeat(SHARED, "a worker of another machine", 30)
            async with LocalWorker(work_pool_name=SHARED, create_pool_if_not_found=False) as worker:
                await worker.get_and_submit_flow_runs()
                assert await state_of(elsewhere.id) == "Running"
