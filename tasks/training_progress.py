"""Shows a run's training steps in Prefect: a progress artifact and log lines."""

import asyncio
import contextlib

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.logging import get_run_logger

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import EventReader

REFRESH_SECONDS = 2.0
"""Rarely enough that the server is not what a run waits for."""


async def follow_training(run: RunDirectory, ended: asyncio.Event) -> None:
    """Follow rank 0's steps until `ended` is set, the last ones included."""
    logger = get_run_logger()
    reader, artifact = EventReader(run.events_path), None
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), REFRESH_SECONDS)
        steps = [e for e in reader.new_events() if e["kind"] == "step" and e["rank"] == 0]
        if not steps:
            continue
        last = steps[-1]
        if artifact is None:
            artifact = await acreate_progress_artifact(progress=0.0, description="training steps")
        await aupdate_progress_artifact(artifact, 100 * last["step"] / last["total_steps"])
        logger.info(
            "step %d of %d: loss %.4f, %.0f tokens/s per rank",
            last["step"],
            last["total_steps"],
            last["loss"],
            last["tokens_per_second"],
        )
