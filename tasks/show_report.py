"""The report of a run that has ended, in Prefect's page."""

import asyncio

from prefect import runtime

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.report.embedded import embedded_report
from tasks.show import Shown, show_in_time


async def show_report(run: RunDirectory) -> None:
    """Attach `report.md` of a run to the current flow run, whichever way the run ended."""
    await show_in_time("the report", _show(run))


async def _show(run: RunDirectory) -> None:
    text = await asyncio.to_thread(embedded_report, run)
    about = f"Report of **{runtime.flow_run.name}** ({run.path.name})"
    await Shown.here("training-report", about).markdown(text)
