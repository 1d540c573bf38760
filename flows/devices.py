"""The devices of a run, as long as its flow prepares and trains."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from opensloth_core.launch.reserve import devices_for
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.resume import with_gpus_of_checkpoint
from tasks.run_logger import line_logger


@asynccontextmanager
async def devices_of(run: RunDirectory) -> AsyncIterator[tuple[str, ...]]:
    """Hold the devices of a run; gives one torch device a rank.

    The terminal and Prefect's page show whom it waits for.

    Raises:
        ConfigError, StoreError: see `devices_for`.
    """
    log = line_logger()

    def say(text: str, level: Literal["info", "warning"]) -> None:
        run.events.message(text, level)
        log(text)

    async with devices_for(
        with_gpus_of_checkpoint(run, run.config()), f"run {run.path.name}", say
    ) as devices:
        yield devices
