"""Plays a cell whose run a Prefect worker starts from a deployment."""

import asyncio
import signal
import subprocess
import sys
import time
from typing import Any

from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling

from opensloth_core.config.opensloth import OpenSlothConfig
from tests.kills.cells import Cell
from tests.kills.play import Outcome, judge, strike
from tests.kills.processes import find, left_after, processes_of, send
from tests.kills.stage import ROOT, Stage

POOL = "kills"


def play_by_worker(cell: Cell, stage: Stage, baseline: str | None, pause_seconds: float) -> Outcome:
    """See `play`; `baseline` None does not go on with a run that did not end well."""
    began = time.monotonic()
    outcome = Outcome(cell, end=cell.end)
    worker = start_worker(stage)
    try:
        start_run(stage)
        followed = stage.follow()
        followed.wait_for(cell.moment, None)
        victim = worker.pid if cell.process == "worker" else _flow_process(stage)
        outcome.hit = followed.state
        strike(cell, [victim], pause_seconds)
        wait_until_over(stage)
        outcome.left = left_after(stage.mark, 10, except_for=(worker.pid,))
    finally:
        send(processes_of(stage.mark), signal.SIGKILL)
        worker.wait()
    judge(outcome, stage, baseline)
    outcome.seconds = time.monotonic() - began
    return outcome


def start_worker(stage: Stage) -> subprocess.Popen[bytes]:
    """A process worker on a pool of its own."""
    asyncio.run(_with_api(stage, _make_pool))
    with stage.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", _pool(stage), "--type", "process"],
            env={
                **stage.environment,
                "PREFECT_WORKER_QUERY_SECONDS": "1",
                "OPENSLOTH_ROOTS": str(stage.folder),
            },
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def start_run(stage: Stage) -> Any:
    """Ask for a run of the deployment; its id."""
    return asyncio.run(_with_api(stage, _ask))


def cancel(stage: Stage, flow_run_id: Any) -> None:
    """As the page's button and `prefect flow-run cancel` do."""

    async def ask(client: Any) -> None:
        await client.set_flow_run_state(flow_run_id, Cancelling())

    asyncio.run(_with_api(stage, lambda stage, client: ask(client)))


def wait_until_over(stage: Stage, seconds: float = 300) -> None:
    """Wait until no rank, no preparation and no flow's process is left."""
    deadline = time.monotonic() + seconds
    while _flow_process(stage) and time.monotonic() < deadline:
        time.sleep(0.2)


async def _with_api(stage: Stage, ask: Any) -> Any:
    assert stage.api_url is not None
    with temporary_settings({PREFECT_API_URL: stage.api_url}):
        async with get_client() as client:
            return await ask(stage, client)


async def _make_pool(stage: Stage, client: Any) -> None:
    try:
        await client.create_work_pool(WorkPoolCreate(name=_pool(stage), type="process"))
    except ObjectAlreadyExists:
        return


async def _ask(stage: Stage, client: Any) -> Any:
    from flows.finetune import finetune_sft
    from flows.parameters import parameters_of

    flow: Any = finetune_sft
    deployable: Any = await flow.from_source(source=str(ROOT), entrypoint="flows/finetune.py:finetune_sft")
    deployment = await deployable.deploy(
        name=f"{POOL}-{stage.mark[:8]}", work_pool_name=_pool(stage), build=False, print_next_steps=False
    )
    parameters = parameters_of(OpenSlothConfig.of(stage.config))
    flow_run = await client.create_flow_run_from_deployment(deployment, parameters=parameters)
    return flow_run.id


def _pool(stage: Stage) -> str:
    return f"{POOL}-{stage.mark[:8]}"


def _flow_process(stage: Stage) -> int | None:
    return find(stage.mark, "prefect.engine") or find(stage.mark, "prefect.flow_engine")
