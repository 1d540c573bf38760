"""The task that trains: one subflow per rank."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, cast

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.gang import Member, train_gang
from opensloth_core.runs.directory import RunDirectory
from tasks.failed import failed
from tasks.mark_crashed import end_ranks
from tasks.show import SHOW_SECONDS
from tasks.train_rank import train_rank_whoever_watches
from tasks.training_progress import follow_training


@task(name="train-model", task_run_name="train", cache_policy=NO_CACHE, persist_result=False)
async def train_model(run_dir: Path) -> Path | State[Any]:
    """Train on every device of a run. Gives the adapter's folder, or the state that a failure ends in."""
    run = RunDirectory(run_dir)
    devices = run.launch().devices

    def member(rank: int) -> Member:
        return lambda: train_rank_whoever_watches(run_dir, rank, devices[rank])

    ended = asyncio.Event()
    follower = asyncio.create_task(follow_training(run, ended))
    try:
        await train_gang(run, [member(rank) for rank in range(len(devices))])
    except BaseException as err:
        with contextlib.suppress(TimeoutError):
            await asyncio.shield(asyncio.wait_for(end_ranks(run_dir), SHOW_SECONDS))
        if isinstance(err, OpenSlothError):
            return failed(err, run)
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


async def trained(run_dir: Path) -> Path:
    """Run the task `train_model`. Gives the adapter's folder.

    Raises:
        OpenSlothError: the failure of the rank that failed first.
    """
    state: State[Path] = await cast(Any, train_model(run_dir, return_state=True))
    return await state.aresult()
