"""The task that says how good the trained model is.

The ranks measure that themselves, while the model is in their memory: before the first step, every
`eval_steps`, and at the end. So this costs no GPU any time, and nothing is measured twice.
"""

import asyncio
from pathlib import Path

from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.report.evaluated import evaluated
from tasks.show import Shown, show_in_time


@task(name="evaluate-model", task_run_name="evaluate", cache_policy=NO_CACHE, persist_result=False)
async def evaluate_model(run_dir: Path) -> dict[str, float]:
    """The metrics of a trained model on the rows held out; empty where none are."""
    found = await asyncio.to_thread(evaluated, RunDirectory(run_dir))
    get_run_logger().info(found.summary)
    about = f"How good the model of **{runtime.flow_run.name}** ({run_dir.name}) is"
    await show_in_time("the evaluation", Shown.here("evaluation", about).markdown(found.markdown))
    return found.metrics
