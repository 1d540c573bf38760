"""The task that trains: one subflow per rank."""

import asyncio
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from opensloth_core.launch.gang import Member, run_gang
from opensloth_core.launch.port import free_port
from opensloth_core.runs.directory import RunDirectory
from tasks.train_rank import train_rank
from tasks.training_progress import follow_training


@task(name="train-model", cache_policy=NO_CACHE, persist_result=False)
async def train_model(run_dir: Path) -> Path:
    """Train on every device of a run. Gives the adapter's folder.

    Raises:
        OpenSlothError: the failure of the rank that failed first.
    """
    run = RunDirectory(run_dir)
    devices, port = run.launch().devices, free_port()

    def member(rank: int) -> Member:
        return lambda: train_rank(run_dir, rank, devices[rank], port)

    follower = asyncio.create_task(follow_training(run))
    try:
        await run_gang([member(rank) for rank in range(len(devices))])
    finally:
        follower.cancel()
    return run.adapter_dir
