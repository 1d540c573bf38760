"""Shows a run's training in Prefect while it runs: progress, loss curve, a table of its ranks, log lines."""

import asyncio
import contextlib
import time

import httpx
from prefect import runtime
from prefect.logging import get_run_logger

from opensloth_core.launch.ranks_up import ranks_up
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import Event, EventReader
from opensloth_core.runs.report.embedded import picture_markdown
from opensloth_core.runs.report.live import WINDOW_STEPS, LiveRun
from opensloth_core.runs.report.picture import picture_svg, prepare_to_draw
from tasks.show import Shown

REFRESH_SECONDS = 2.0
"""Rarely enough that the server is not what a run waits for."""

PICTURE_SECONDS = 10.0
"""The same for the picture, which is larger and has to be drawn."""

MAX_DRAWING_SHARE = 0.05
"""Of the time of one core; the picture of a long run comes more rarely."""


async def follow_training(run: RunDirectory, ended: asyncio.Event) -> None:
    """Follow the steps of a run until `ended` is set, the last ones included."""
    view = _View(run)
    reader = EventReader(run.events_path)
    await _ready_to_draw(run, ended)
    picture_due, is_last = 0.0, False
    while not is_last:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), REFRESH_SECONDS)
        is_last = ended.is_set()
        has_moved = view.live.add(reader.new_events())
        try:
            if has_moved:
                await view.progress()
            if view.live.last_step and (is_last or (has_moved and time.monotonic() >= picture_due)):
                seconds = await view.pictures()
                picture_due = time.monotonic() + max(PICTURE_SECONDS, seconds / MAX_DRAWING_SHARE)
        except httpx.HTTPError as err:
            # The server may be back for the next one.
            get_run_logger().warning("progress cannot be shown now: %s: %s", type(err).__name__, err)


async def _ready_to_draw(run: RunDirectory, ended: asyncio.Event) -> None:
    """Load what draws, which takes a second of the interpreter, while the ranks import and load too."""
    waits = [asyncio.create_task(ranks_up(run)), asyncio.create_task(ended.wait())]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    await asyncio.to_thread(prepare_to_draw)


class _View:
    """The artifacts of a training, on the page of the task that trains."""

    def __init__(self, run: RunDirectory) -> None:
        title, name = runtime.flow_run.name, run.path.name
        self.live = LiveRun(run.config().method, run.launch().devices)
        self._progress = Shown.here("training-progress", f"Training steps of **{title}** ({name})")
        self._curve = Shown.here("loss-curve", f"Loss of **{title}** ({name}) by step")
        self._ranks = Shown.here(
            "ranks", f"How the ranks of **{title}** ({name}) ran in the last {WINDOW_STEPS} steps"
        )

    async def progress(self) -> None:
        """Show how far it is, and log it."""
        last = self._last
        await self._progress.progress(100 * last["step"] / last["total_steps"])
        get_run_logger().info(
            "step %d of %d: loss %.4f, %.0f tokens/s per rank",
            last["step"],
            last["total_steps"],
            last["loss"],
            last["tokens_per_second"],
        )

    async def pictures(self) -> float:
        """Show the curves and the ranks; gives the seconds that drawing took."""
        last = self._last
        begun = time.monotonic()
        svg = await asyncio.to_thread(picture_svg, self.live.panels())
        seconds = time.monotonic() - begun
        caption = f"Step {last['step']:,} of {last['total_steps']:,}: loss {last['loss']:.4f}\n"
        await self._curve.markdown(f"{picture_markdown(svg, 'loss by step')}\n{caption}")
        await self._ranks.table(self.live.rank_rows())
        return seconds

    @property
    def _last(self) -> Event:
        assert self.live.last_step is not None
        return self.live.last_step
