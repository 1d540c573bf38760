"""What a person sees while a run goes on: a view that follows the run's event log."""

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TextIO

from flows.cli.json_view import JsonView
from flows.cli.log_lines import LogLines
from flows.cli.plain_view import PlainView
from flows.cli.shown import Shown
from opensloth_core.runs.events import Event, EventReader

POLL_SECONDS = 0.1


class View(Protocol):
    """One way to show a run."""

    def show(self, event: Event) -> None: ...

    def refresh(self) -> None: ...

    def close(self) -> None: ...


class QuietView:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Nothing."""

    def refresh(self) -> None:
        """Nothing moves."""

    def close(self) -> None:
        """Nothing to give back."""


class RunConsole:
    """Shows a run on stderr for as long as the `with` block lasts; as JSON on stdout.

    The log is the only source, so whichever process writes to it is seen, and the run never waits
    for the terminal. Should the view break (a closed pipe), the run goes on unseen.
    """

    def __init__(
        self,
        events_path: Path,
        stream: TextIO | None = None,
        shown: Shown | None = None,
        also: Sequence[View] = (),
        since: float = 0.0,
    ) -> None:
        """Read the log of a run.

        Args:
            also: further views of the same events.
            since: Unix seconds; events of before are not shown.
        """
        self._shown = shown or Shown()
        self._reader = EventReader(events_path)
        self._logs = LogLines(events_path.parent / "logs") if self._shown.verbose else None
        self._also, self._since = also, since
        self._stream = stream or (sys.stdout if self._shown.as_json else sys.stderr)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="run-console", daemon=True)
        self.failure: Exception | None = None
        """What ended the view early."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        if self.failure is not None and not isinstance(self.failure, OSError):
            print(f"the progress display stopped early: {self.failure!r}", file=self._stream)

    def _follow(self) -> None:
        try:
            view = view_for(self._stream, self._shown)
            try:
                self._show_until_stopped(view)
            finally:
                view.close()
        except Exception as err:
            self.failure = err

    def _show_until_stopped(self, view: View) -> None:
        last_round = False
        while True:
            for event in self._reader.new_events():
                # An event that is damaged has the view say so.
                if event.get("time", self._since) >= self._since:
                    for one in (view, *self._also):
                        one.show(event)
            for line in self._logs.new_events() if self._logs else ():
                view.show(line)
            view.refresh()
            if last_round:
                return
            last_round = self._stopping.wait(POLL_SECONDS)


def view_for(stream: TextIO, shown: Shown | None = None) -> View:
    """What was asked for; else bars on a terminal that can move its cursor, and lines elsewhere."""
    if shown is not None and shown.quiet:
        return QuietView()
    if shown is not None and shown.as_json:
        return JsonView(stream)
    if not stream.isatty() or os.environ.get("TERM", "dumb") in ("", "dumb"):
        return PlainView(stream)
    # Imported here: pipes and servers do not need it.
    from rich.console import Console

    from flows.cli.bars_view import BarsView

    return BarsView(Console(file=stream))
