"""A run as plain time-stamped lines, for pipes, log files and dumb terminals."""

import time
from typing import TextIO

from flows.cli.lines import is_echo, lines_for
from opensloth_core.runs.events import Event
from opensloth_core.runs.report.numbers import duration

SECONDS_BETWEEN_LINES = 5.0


class PlainView:
    """Writes a line for what matters; of steps and progress at most one in five seconds.

    Throttling goes by the events' own times, so a log read late gives the same lines. The first
    step and the last are always shown, and so are the start and the end of a phase.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held: Event | None = None
        self._last_line_time = float("-inf")
        self._phase_starts: dict[str, tuple[float, int]] = {}
        """When each phase began, and how far it was then."""

        self._ended_phases: set[str] = set()

    def show(self, event: Event) -> None:
        """Write the lines of one event, or hold it back until it proves to be the last one."""
        if is_echo(event) or self._is_said_again(event):
            return
        if event["kind"] == "resumed":
            self._phase_starts.clear()
            self._ended_phases.clear()
        if event["kind"] == "log":  # comes between any two steps, which stay rare
            self._write(event)
        elif event["kind"] not in ("step", "progress"):
            self._flush()
            self._write(event)
        elif self._is_due(event):
            self._write(event, _suffix(event, self._phase_starts))
            self._last_line_time = event["time"]
            self._held = None
        else:
            self._held = event

    def refresh(self) -> None:
        """Nothing moves between events."""

    def close(self) -> None:
        """Write what was held back."""
        self._flush()

    def _is_said_again(self, event: Event) -> bool:
        """Whether a phase that has ended says once more that it has."""
        if event["kind"] != "progress" or event["done"] != event.get("total"):
            return False
        is_again = event["phase"] in self._ended_phases
        self._ended_phases.add(event["phase"])
        return is_again

    def _is_due(self, event: Event) -> bool:
        if event["kind"] == "progress":
            is_first = event["phase"] not in self._phase_starts
            self._phase_starts.setdefault(event["phase"], (event["time"], event["done"]))
            is_last = event["done"] == event.get("total")
        else:
            is_first = "step" not in self._phase_starts
            self._phase_starts.setdefault("step", (event["time"], event["step"]))
            is_last = event["step"] == event.get("total_steps")
        waited = event["time"] - self._last_line_time >= SECONDS_BETWEEN_LINES
        return is_first or is_last or waited

    def _flush(self) -> None:
        if self._held is not None:
            self._write(self._held)
            self._held = None

    def _write(self, event: Event, suffix: str = "") -> None:
        clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
        for line in lines_for(event):
            self._stream.write(f"{clock} {line}{suffix}\n")
        self._stream.flush()


def _suffix(event: Event, starts: dict[str, tuple[float, int]]) -> str:
    """How long a phase took, or, from how it went so far, how long it is going to."""
    is_step = event["kind"] == "step"
    began, done_then = starts["step" if is_step else event["phase"]]
    done, total = (
        (event["step"], event.get("total_steps")) if is_step else (event["done"], event.get("total"))
    )
    elapsed = event["time"] - began
    if done == total:
        return "" if is_step else f" in {duration(elapsed)}"
    if not total or done <= done_then or elapsed <= 0:
        return ""
    left = elapsed / (done - done_then) * (total - done)
    return f"{' · ' if is_step else ', '}{duration(left)} left"
