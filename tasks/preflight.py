"""The tasks that check a run before anything expensive starts."""

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from opensloth_core import preflight
from opensloth_core.runs.directory import RunDirectory


@task(name="preflight", cache_policy=NO_CACHE, persist_result=False)
def check(run_dir: Path) -> preflight.Preflight:
    """What `opensloth_core.preflight` finds out about a run, or the error it raises."""
    run = RunDirectory(run_dir)
    return preflight.preflight(run.config(), say=run.events.message)


@task(name="preflight", cache_policy=NO_CACHE, persist_result=False)
def check_data(run_dir: Path) -> Path:
    """The folder of the model that data is prepared for, or the error that preparing would end with."""
    run = RunDirectory(run_dir)
    return preflight.data_preflight(run.preparation(), say=run.events.message)
