"""The task that puts a run's results where the user wants them."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.export import export_results


@task(name="publish-model", cache_policy=NO_CACHE, persist_result=False)
def publish_model(run_dir: Path) -> Path:
    """Export adapter and prepared data as configured. Gives the folder of the adapter."""
    return export_results(RunDirectory(run_dir))
