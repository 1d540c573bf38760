"""The task that puts prepared data where the user wants it."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.export import export_prepared


@task(name="publish-data", cache_policy=NO_CACHE, persist_result=False)
def publish_data(run_dir: Path) -> Path | None:
    """Export prepared data as configured. Gives the folder of the copy."""
    run = RunDirectory(run_dir)
    folder = run.preparation().data_output
    if folder is not None:
        export_prepared(run.launch().prepared_key, folder)
    return folder
