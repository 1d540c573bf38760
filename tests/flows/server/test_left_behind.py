"""Runs whose worker was killed and that somebody cancels: the next worker ends them."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

POOL = "left-behind"


def test_a_run_of_a_killed_worker_is_ended_once_it_is_cancelled(prefect_api: str) -> None:
    asyncio.run(_cancelled(prefect_api))


async def _cancelled(address: str) -> None:
    from prefect import flow, get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from prefect.states import Cancelling, Running

    from flows.server.local_worker import LocalWorker

    @flow
    def goes_on() -> None: ...

    with temporary_settings({PREFECT_API_URL: address}):
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
            run = await client.create_flow_run(goes_on, state=Running(), work_pool_name=POOL)
            process = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(100)"],
                env={**os.environ, "PREFECT__FLOW_RUN_ID": str(run.id)},
            )
            try:
                await client.update_flow_run(run.id, infrastructure_pid=str(process.pid))
                async with LocalWorker(work_pool_name=POOL, create_pool_if_not_found=False) as worker:
                    await worker.get_and_submit_flow_runs()
                    assert process.poll() is None
                    await client.set_flow_run_state(run.id, Cancelling())
                    await worker.get_and_submit_flow_runs()
                    assert process.wait(20) == -signal.SIGTERM
            finally:
                process.kill()
                process.wait()
