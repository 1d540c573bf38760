"""The task that trains: one subflow per rank."""

import asyncio
import contextlib
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from opensloth_core.launch.gang import Member, train_gang
from opensloth_core.runs.directory import RunDirectory
from tasks.mark_crashed import end_ranks
from tasks.train_rank import train_rank_whoever_watches
from tasks.training_progress import follow_training

SHOW_SECONDS = 5.0
"""How long the end of a run may wait for its last steps to be shown."""


@task(name="train-model", cache_policy=NO_CACHE, persist_result=False)
async def train_model(run_dir: Path) -> Path:
    """Train on every device of a run. Gives the adapter's folder.

    Raises:
        OpenSlothError: the failure of the rank that failed first.
    """
    run = RunDirectory(run_dir)
    devices = run.launch().devices

    def member(rank: int) -> Member:
        return lambda: train_rank_whoever_watches(run_dir, rank, devices[rank])

    ended = asyncio.Event()
    follower = asyncio.create_task(follow_training(run, ended))
    try:
        await train_gang(run, [member(rank) for rank in range(len(devices))])
    except BaseException:
        with contextlib.suppress(TimeoutError):
            await asyncio.shield(asyncio.wait_for(end_ranks(run_dir), SHOW_SECONDS))
        raise
    finally:
        ended.set()
        # How a run ends is never decided by who shows it: the server may be gone.
        await asyncio.wait({follower}, timeout=SHOW_SECONDS)
        if not follower.done():
            follower.cancel()
        elif error := follower.exception():
            get_run_logger().warning("progress could not be shown: %s", error)
    return run.adapter_dir
