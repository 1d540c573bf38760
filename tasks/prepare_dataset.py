"""The cached task that prepares data."""

import asyncio
from pathlib import Path
from typing import Any, cast

from prefect import State, task
from prefect.logging import get_run_logger

from opensloth_core.launch.process import run_process
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.prepared import PreparedManifest, open_prepared
from tasks.artifact_cache import ArtifactKey, results_dir
from tasks.run_logger import line_logger
from tasks.show_data import show_data

SHOW_SECONDS = 5.0
"""How long a run may wait for its data to be shown."""


@task(name="prepare-dataset", task_run_name="prepare {key}")
async def prepare_dataset(run_dir: Path, key: str) -> PreparedManifest:
    """Prepare the data of a run into the store.

    Raises:
        ConfigError: the input cannot be used.
        ProcessFailed: preparation was interrupted.
    """
    run = RunDirectory(run_dir)
    await run_process(
        name="data preparation",
        module="opensloth_core.store.prepare_worker",
        arguments=[str(run_dir)],
        env={},
        log_path=run.prepare_log_path,
        on_line=line_logger(),
    )
    return open_prepared(key)


async def prepared_or_cached(run_dir: Path, key: str) -> tuple[PreparedManifest, bool]:
    """The prepared data of a key, and whether the task's cache had it."""
    cached_task = prepare_dataset.with_options(
        cache_policy=ArtifactKey(key),
        persist_result=True,
        result_storage=results_dir(),
        result_serializer="json",
    )
    # Typed as the state itself; an async task gives an awaitable of it.
    state: State[PreparedManifest] = await cast(Any, cached_task(run_dir, key, return_state=True))
    manifest = await state.aresult()
    await _shown(manifest, state)
    return manifest, state.name == "Cached"


async def _shown(manifest: PreparedManifest, state: State[PreparedManifest]) -> None:
    """Show the data on the run of its task. Whether that works never decides how a run ends."""
    details = state.state_details
    showing = asyncio.create_task(show_data(manifest, details.flow_run_id, details.task_run_id))
    await asyncio.wait({showing}, timeout=SHOW_SECONDS)
    if not showing.done():
        showing.cancel()
    elif error := showing.exception():
        get_run_logger().warning("the data's artifacts could not be made: %s", error)
