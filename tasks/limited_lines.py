"""Log lines at a rate that a server can take: of a flood, its first and its last lines are shown.

A rank may print 10,000 lines a second, and each line in Prefect's page is a row of its database. Whatever is
left out is counted where it is missing, and stands in the log file, which has every line.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WINDOW_SECONDS = 10.0
FIRST_LINES = 200
"""How many lines of a window are shown as they come: 20 a second on average."""

LAST_LINES = 20
"""How many of the others are shown at the window's end; more than an error's last words take."""

LONGEST_LINE = 4000
"""Characters of a line that are shown; Prefect drops records of a million."""


class LimitedLines:
    """Hands lines on in their order; within an event loop.

    Args:
        show: shows one line.
        log_path: the file that has all of them.
    """

    def __init__(self, show: Callable[[str], None], log_path: Path) -> None:
        self._show = show
        self._log_path = log_path
        self._count = 0
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._window: asyncio.TimerHandle | None = None

    def __call__(self, line: str) -> None:
        """Show a line, now or at the end of the window, or count it as left out."""
        if self._window is None:
            self._window = asyncio.get_running_loop().call_later(WINDOW_SECONDS, self.flush)
        self._count += 1
        if self._count <= FIRST_LINES:
            self._show(self._shortened(line))
        else:
            self._last.append(line)

    def flush(self) -> None:
        """End the window: say how many lines were left out, and show the last ones."""
        if self._window is not None:
            self._window.cancel()
        left_out = self._count - FIRST_LINES - len(self._last)
        if left_out > 0:
            self._show(f"… {left_out:,} lines are left out here; {self._log_path} has all of them")
        for line in self._last:
            self._show(self._shortened(line))
        self._count, self._window = 0, None
        self._last.clear()

    def _shortened(self, line: str) -> str:
        line = line.replace("\0", "␀")  # PostgreSQL takes no text with such a character
        more = len(line) - LONGEST_LINE
        return (
            line if more <= 0 else f"{line[:LONGEST_LINE]} … ({more:,} more characters in {self._log_path})"
        )


@contextmanager
def limited(show: Callable[[str], None], log_path: Path) -> Iterator[LimitedLines]:
    """Lines of a process, of which the last ones are shown however it ends."""
    lines = LimitedLines(show, log_path)
    try:
        yield lines
    finally:
        lines.flush()
