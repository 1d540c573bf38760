"""The tasks that check a run before anything expensive starts."""

from pathlib import Path
from typing import Any, cast

from prefect import State, task
from prefect.cache_policies import NO_CACHE

from opensloth_core import preflight
from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.side_thread import in_side_thread
from opensloth_core.runs.directory import RunDirectory
from tasks.failed import failed


@task(name="preflight", task_run_name="preflight", cache_policy=NO_CACHE, persist_result=False)
def check(run_dir: Path) -> preflight.Preflight | State[Any]:
    """What `opensloth_core.preflight` finds out about a run, or the state that its error ends in."""
    run = RunDirectory(run_dir)
    try:
        return preflight.preflight(run.config(), run.events.message, run)
    except OpenSlothError as err:
        return failed(err, run)


async def checked(run_dir: Path) -> preflight.Preflight:
    """What preflight finds out about a run, or the error it raises."""
    state = await in_side_thread(lambda: cast(State[Any], check(run_dir, return_state=True)))
    return cast(preflight.Preflight, await state.aresult())


@task(name="preflight", task_run_name="preflight", cache_policy=NO_CACHE, persist_result=False)
def check_data(run_dir: Path) -> Path:
    """The folder of the model that data is prepared for, or the error that preparing would end with."""
    run = RunDirectory(run_dir)
    return preflight.data_preflight(run.preparation(), run.events.message, run)
