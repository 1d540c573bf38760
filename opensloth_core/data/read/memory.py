"""A ceiling over the memory that one step of reading may take.

A few kilobytes can stand for gigabytes: a repeated value in parquet, an empty list written ten million times
in JSON. No size that a file declares can be trusted, so the kernel is what says no: Python and Arrow then
raise MemoryError, which ends one row or one file instead of the machine.
"""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STEP_BYTES = 1 << 30
"""What reading one batch or one long row may take beside what its file holds."""

_SIZES = Path("/proc/self/statm")


class _Ceiling:
    """The limit of this process while any thread is in a step; the first one sets it, the last lifts it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._before = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def lower(self, extra_bytes: int) -> None:
        with self._lock:
            if self._depth == 0:
                self._before = soft, hard = resource.getrlimit(resource.RLIMIT_AS)
                limit = _address_space_bytes() + extra_bytes
                allowed = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
                resource.setrlimit(resource.RLIMIT_AS, (min([limit, *allowed]), hard))
            self._depth += 1

    def lift(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                resource.setrlimit(resource.RLIMIT_AS, self._before)


_CEILING = _Ceiling()


@contextmanager
def memory_ceiling(extra_bytes: int = STEP_BYTES) -> Iterator[None]:
    """Let the block take so much memory more than there is in use; without effect where there is no /proc.

    Start no process in the block: it would keep the limit.

    Raises:
        MemoryError: the block would take more.
    """
    if not _SIZES.exists():
        yield
        return
    _CEILING.lower(extra_bytes)
    try:
        yield
    finally:
        _CEILING.lift()


def _address_space_bytes() -> int:
    return int(_SIZES.read_text().split()[0]) * resource.getpagesize()
