"""A run as progress bars on a terminal."""

import sys

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from flows.cli.lines import STATES, is_echo, lines_for, progress_count
from opensloth_core.runs.events import Event

WIDTH_FOR_BAR = 75
WIDTH_FOR_NOTE = 64
WIDEST_BAR = 30
OTHER_COLUMNS = 67
MOST_EXPECTED = 0.95
"""How full the bar of a stage gets by the time that it was expected to take."""

SPEED_SECONDS = 600.0
"""Over which time speed is measured; several steps have to fit, and some take minutes."""

ENDED = ("completed", "failed", "cancelled", "crashed")


class BarsView:
    """One bar a stage of the run, the phases of its work beneath it; messages scroll above."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            *_columns(console.width),
            console=console,
            auto_refresh=False,
            speed_estimate_period=SPEED_SECONDS,
            # Where stdout is a file, what is printed to it must not end up among the bars.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}
        self._stage: str | None = None
        self._progress.start()

    def show(self, event: Event) -> None:
        """Move the bars to where the event says the run is."""
        if is_echo(event):
            return
        match event["kind"]:
            case "state":
                self._enter(event)
            case "progress":
                task = self._task(f"  {event['phase']}", event.get("total"))
                self._move(task, event["done"], event.get("total"), progress_count(event))
            case "step":
                self._step(event)
            case "resumed":
                self._begin_anew()
            case _:
                for line in lines_for(event):
                    self._print(line)

    def refresh(self) -> None:
        """Redraw, so that clocks and ETAs move between events."""
        for task in self._progress.tasks:
            if (expected := task.fields["expected"]) and not task.stop_time:
                self._progress.update(task.id, completed=min(task.elapsed or 0.0, MOST_EXPECTED * expected))
        self._progress.refresh()

    def close(self) -> None:
        """Leave the bars as they are and give the terminal back."""
        self._progress.stop()

    def _enter(self, event: Event) -> None:
        state = event["state"]
        if self._stage is not None and state != self._stage:
            self._finish(STATES[self._stage], whole=state not in ENDED or state == "completed")
        self._stage = state if state in STATES and state not in ENDED else None
        if self._stage is not None:
            task = self._task(STATES[self._stage], None)
            if expected := event.get("expected_seconds"):
                self._progress.update(task, total=expected, expected=expected)
        if event.get("message") and state not in ENDED:
            self._print(event["message"])

    def _begin_anew(self) -> None:
        """Drop the bars of the attempt before, whose clocks have stopped."""
        for task in self._tasks.values():
            self._progress.remove_task(task)
        self._tasks.clear()
        self._stage = None

    def _step(self, event: Event) -> None:
        task = self._task(STATES["training"], event.get("total_steps"))
        loss, speed = event.get("loss"), event.get("tokens_per_second")
        notes = [f"loss {loss:.3f}" if loss is not None else ""]
        unit = "tok/s/GPU" if event.get("world_size", 1) > 1 else "tok/s"
        notes.append(f"{_short(speed)} {unit}" if speed is not None else "")
        note = "  ".join(part for part in notes if part)
        step, total = event["step"], event.get("total_steps")
        self._move(task, step, total, f"{step:,}/{total:,}" if total else f"{step:,}", note)

    def _move(self, task: TaskID, done: int, total: int | None, count: str, note: str = "") -> None:
        self._progress.update(task, completed=done, total=total, count=count, note=note)

    def _task(self, name: str, total: int | None) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(
                escape(name), total=total, count="", note="", expected=None
            )
        return self._tasks[name]

    def _finish(self, name: str, whole: bool) -> None:
        task = next(task for task in self._progress.tasks if task.id == self._tasks[name])
        if whole and (task.total is None or task.fields["expected"]):
            self._progress.update(task.id, total=1, completed=1)
        self._progress.stop_task(task.id)

    def _print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False)


def _columns(width: int) -> list[ProgressColumn]:
    """What fits: narrow terminals lose the bar first, then loss and speed."""
    columns: list[ProgressColumn] = [_text("{task.description}")]
    if width >= WIDTH_FOR_BAR:
        columns.append(BarColumn(bar_width=min(WIDEST_BAR, max(8, width - OTHER_COLUMNS))))
    columns.append(_text("{task.fields[count]}"))
    columns.append(_Clock())
    if width >= WIDTH_FOR_NOTE:
        columns.append(_text("{task.fields[note]}"))
    return columns


class _Clock(ProgressColumn):
    """`00:42 left` where that can be estimated, else the time taken so far."""

    def render(self, task: Task) -> Text:
        if task.finished or task.stop_time:
            remaining = None
        elif expected := task.fields["expected"]:
            left = expected - (task.elapsed or 0.0)
            remaining = left if left > 0 else None
        else:
            remaining = task.time_remaining
        if remaining is not None:
            return Text(f"{_clock(remaining)} left")
        return Text(_clock(task.finished_time or task.elapsed or 0))


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes:02d}:{seconds:02d}"


def _short(number: float) -> str:
    """`980`, `6.1k`, `25k`."""
    if number < 1000:
        return f"{number:.0f}"
    return f"{number / 1000:.1f}k" if number < 10_000 else f"{number / 1000:,.0f}k"


def _text(template: str) -> TextColumn:
    return TextColumn(template, table_column=Column(no_wrap=True, overflow="ellipsis"))
