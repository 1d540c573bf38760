"""Peak anonymous memory of a preparation, by the size of its input.

Anonymous memory (RssAnon) is what a process cannot give back: files mapped into memory do not count. It
is summed over all processes of the preparation, 20 times a second, so pages that forked processes share
count more than once: the sum is an upper bound.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.benchmarks.ours import new_home, preparation_of, prepare_in_child
from tests.benchmarks.rows import write_bytes
from tests.benchmarks.table import Table

_SAMPLES_PER_SECOND = 20
_GB = 10**9


class AnonymousMemory:
    """Watches all descendants that come while it is entered; `peak_bytes` is the result."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._earlier = set(_descendants(os.getpid()))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "AnonymousMemory":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(1 / _SAMPLES_PER_SECOND):
            watched = set(_descendants(os.getpid())) - self._earlier
            self.peak_bytes = max(self.peak_bytes, sum(map(anonymous_bytes, watched)))


def anonymous_bytes(pid: int) -> int:
    """RssAnon of a process; 0 if it has ended."""
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in (path.name for path in Path("/proc").iterdir()):
        # The fields after the name, which stands in parentheses: state, parent, …
        if entry.isdigit() and (fields := _read(f"/proc/{entry}/stat").rpartition(")")[2].split()):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, open_pids = [], [pid]
    while open_pids:
        born = children.get(open_pids.pop(), [])
        found += born
        open_pids += born
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended between the listing and the reading
        return ""


def memory_table(sizes_gb: Sequence[float], model: str, model_dir: Path, scratch: Path) -> Table:
    """One row a size; the input of each is removed before the next is written."""
    table = Table(["input GB", "rows", "peak RssAnon MB", "seconds", "MB/s", "load", "packs"])
    for size_gb in sizes_gb:
        folder = scratch / f"memory-{size_gb}"
        folder.mkdir()
        data = folder / "rows.jsonl"
        num_rows = write_bytes(data, int(size_gb * _GB))
        home = new_home(folder, model_dir)
        with AnonymousMemory() as memory:
            done = prepare_in_child(preparation_of(data, model), home)
        told = done.report
        table.add(
            f"{size_gb:g}",
            str(num_rows),
            f"{memory.peak_bytes / 1e6:.0f}",
            f"{told['seconds']:.1f}",
            f"{size_gb * 1000 / told['seconds']:.1f}",
            f"{done.load:.1f}",
            f"{told['packs']}, {told['fill']:.2%} full",
        )
        data.unlink()
    return table
