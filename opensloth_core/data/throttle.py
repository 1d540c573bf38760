"""Progress reports at a bearable rate."""

import time

from opensloth_core.runs.events import Progress

_MIN_SECONDS = 0.2
_QUICK_SECONDS = 2.0


class Throttled:
    """A `Progress` that passes on five reports a second a phase, and always the one that ends it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._next_time: dict[str, float] = {}

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Pass the report on if it is time for one."""
        now = time.monotonic()
        if now >= self._next_time.get(phase, 0.0) or done == total:
            self._next_time[phase] = now + _MIN_SECONDS
            self._progress(phase, done, total)


class OnceSlow:
    """A `Progress` of work that is mostly quick: nothing of it is passed on unless it takes two seconds."""

    def __init__(self, progress: Progress) -> None:
        self._progress = Throttled(progress)
        self._began = time.monotonic()
        self._has_told = False

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Pass the report on if the work is slow."""
        if self._has_told or (done != total and time.monotonic() - self._began >= _QUICK_SECONDS):
            self._has_told = True
            self._progress(phase, done, total)
