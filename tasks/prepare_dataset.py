"""The cached task that prepares data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import State, runtime, task
from prefect.client.schemas.objects import TaskRun

from opensloth_core.errors import StoreError
from opensloth_core.launch.process import ProcessFailed, run_process
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.prepare_worker import TEMPORARY
from opensloth_core.store.prepared import PreparedManifest, open_prepared
from tasks.artifact_cache import ArtifactKey, results_dir
from tasks.assets import tell_prepared
from tasks.limited_lines import limited
from tasks.manifest_serializer import ManifestSerializer
from tasks.run_logger import line_logger

RETRY_SECONDS = (2.0, 10.0)
"""How long to wait before each further try when a disk or a connection failed."""

MOST_TRIES = 1 + len(RETRY_SECONDS)


class TemporaryError(StoreError):
    """A disk or a connection failed, which may work when it is tried again."""


async def _is_temporary(task: Any, task_run: TaskRun, state: State[Any]) -> bool:
    return isinstance(await state.aresult(raise_on_failure=False), TemporaryError)


@task(
    name="prepare-dataset",
    task_run_name="prepare {key}",
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=list(RETRY_SECONDS),
    retry_condition_fn=_is_temporary,
)
async def prepare_dataset(run_dir: Path, key: str) -> PreparedManifest:
    """Prepare the data of a run into the store; tried again where a disk or a connection failed.

    Raises:
        ConfigError: the input cannot be used.
        TemporaryError: a disk or a connection failed.
        ProcessFailed: preparation was interrupted.
    """
    run = RunDirectory(run_dir)
    is_temporary = False
    try:
        with limited(line_logger(), run.prepare_log_path) as show:

            def on_line(line: str) -> None:
                nonlocal is_temporary
                is_temporary = is_temporary or line == TEMPORARY
                show(line)

            await run_process(
                name="data preparation",
                module="opensloth_core.store.prepare_worker",
                arguments=[str(run_dir)],
                env={},
                log_path=run.prepare_log_path,
                on_line=on_line,
            )
    except ProcessFailed as err:
        if not is_temporary:
            raise
        if (tries := int(runtime.task_run.run_count)) <= len(RETRY_SECONDS):
            seconds = RETRY_SECONDS[tries - 1]
            run.events.message(
                f"{err}; trying again in {seconds:g} s ({tries} of {MOST_TRIES} tries failed)", "warning"
            )
        raise TemporaryError(str(err)) from err
    manifest = open_prepared(key)
    tell_prepared(manifest)
    return manifest


@dataclass(frozen=True)
class PreparedData:
    """Prepared data, and where it came from."""

    manifest: PreparedManifest
    is_cached: bool
    """Whether the task's cache had it."""

    task_run_id: UUID | None
    """The run of the task that prepared it or found it."""


async def prepared_or_cached(run_dir: Path, key: str) -> PreparedData:
    """The prepared data of a key, from the task's cache or made now."""
    run = RunDirectory(run_dir)
    verify = run.preparation().verify
    cached_task = prepare_dataset.with_options(
        cache_policy=ArtifactKey(key, verify),
        persist_result=True,
        result_storage=results_dir(),
        result_serializer=ManifestSerializer(),
    )
    # Typed as the state itself; an async task gives an awaitable of it.
    state: State[PreparedManifest] = await cast(Any, cached_task(run_dir, key, return_state=True))
    data = PreparedData(await state.aresult(), state.name == "Cached", state.state_details.task_run_id)
    if verify and data.is_cached:
        size_bytes = sum(record.size_bytes for record in data.manifest.files.values())
        run.events.message(
            f"verified: every byte of the prepared data is what was written "
            f"({len(data.manifest.files)} files, {size_bytes / 1e6:,.1f} MB)"
        )
    return data
