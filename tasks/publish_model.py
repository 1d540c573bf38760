"""The task that puts a run's results where the user wants them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.export import export_results
from opensloth_core.runs.report.result_card import result_card
from tasks.assets import tell_model
from tasks.show import Shown, show_in_time


@task(name="publish-model", task_run_name="publish", cache_policy=NO_CACHE, persist_result=False)
async def publish_model(run_dir: Path, metrics: Mapping[str, float]) -> Path:
    """Export adapter and prepared data as configured. Gives the folder of the adapter.

    Args:
        metrics: of the model on the rows held out, for whoever asks which model is how good.
    """
    run = RunDirectory(run_dir)
    folder = await asyncio.to_thread(export_results, run)
    await show_in_time("the model", _show(run, folder, metrics))
    return folder


async def _show(run: RunDirectory, folder: Path, metrics: Mapping[str, float]) -> None:
    about = f"Where the model of **{runtime.flow_run.name}** ({run.path.name}) is"
    await Shown.here("trained-model", about).markdown(result_card(run, folder))
    tell_model(run, metrics)
