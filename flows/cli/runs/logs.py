"""`os-train runs logs`."""

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from flows.cli.cache.answer import answered
from flows.cli.plain_view import PlainView
from opensloth_core.errors import ConfigError
from opensloth_core.runs.abandoned import FINAL, KILLED
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import EventReader
from opensloth_core.runs.history import read_outline, state_of, summary
from opensloth_core.runs.lock import is_running
from opensloth_core.runs.named import named_run

POLL_SECONDS = 0.2
_BLOCK_BYTES = 1 << 16


def run_logs(which: str, rank: int | None, preparation: bool, lines: int | None, follow: bool) -> int:
    """Print a log and give the exit code."""
    return answered("os-train runs logs", lambda: _logs(which, rank, preparation, lines, follow))


def _logs(which: str, rank: int | None, preparation: bool, lines: int | None, follow: bool) -> int:
    run = named_run(which)
    if rank is not None and preparation:
        raise ConfigError("--rank and --preparation: give one of them")
    if rank is None and not preparation:
        _print_events(run, lines, follow)
        return _ended(run, follow)
    path = run.prepare_log_path if rank is None else run.log_path(rank)
    if not path.exists() and not (follow and _goes_on(run)):
        raise ConfigError(f"{path.name}: run {run.path.name} has no such log; {_logs_there(run)}")
    _print_file(run, path, lines, follow)
    return _ended(run, follow)


def _ended(run: RunDirectory, follow: bool) -> int:
    """Say that a run ended which could not say so itself."""
    end = summary(run)
    if follow and end.message == KILLED:
        print(f"os-train runs logs: {run.path.name} crashed: {KILLED}", file=sys.stderr)
    return 0


def _logs_there(run: RunDirectory) -> str:
    names = sorted(path.name for path in (run.path / "logs").glob("*.log"))
    return f"it has {', '.join(names)}" if names else "it came to an end before any process started"


def _goes_on(run: RunDirectory) -> bool:
    return is_running(run) or state_of(run, read_outline(run)) not in FINAL


def _print_events(run: RunDirectory, lines: int | None, follow: bool) -> None:
    """The run's own lines, as its terminal showed them."""
    reader = EventReader(run.events_path)
    text = io.StringIO()
    view = PlainView(text)
    for event in reader.new_events():
        view.show(event)
    if not follow:
        view.close()
    told = text.getvalue().splitlines(keepends=True)
    sys.stdout.writelines(told if lines is None else told[max(0, len(told) - lines) :])
    sys.stdout.flush()
    if not follow:
        return
    text.seek(0)
    text.truncate()
    for _ in _until_ended(run):
        for event in reader.new_events():
            view.show(event)
        _move(text)
    view.close()
    _move(text)


def _move(text: io.StringIO) -> None:
    sys.stdout.write(text.getvalue())
    sys.stdout.flush()
    text.seek(0)
    text.truncate()


def _print_file(run: RunDirectory, path: Path, lines: int | None, follow: bool) -> None:
    place = 0
    if lines is not None and path.exists():
        place = _last_lines(path, lines)
    place = _copy(path, place)
    if follow:
        for _ in _until_ended(run):
            place = _copy(path, place)


def _until_ended(run: RunDirectory) -> Iterator[None]:
    """A turn every moment, and one more after the run has ended."""
    while _goes_on(run):
        yield
        time.sleep(POLL_SECONDS)
    yield


def _copy(path: Path, place: int) -> int:
    """Print a file from a place on; gives the place it came to."""
    if not path.exists():
        return place
    if path.stat().st_size < place:  # a new attempt began it anew
        place = 0
    with path.open("rb") as file:
        file.seek(place)
        while block := file.read(_BLOCK_BYTES):
            place += len(block)
            sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
    return place


def _last_lines(path: Path, lines: int) -> int:
    """Where the last lines of a file begin."""
    with path.open("rb") as file:
        end = place = file.seek(0, io.SEEK_END)
        if lines == 0:
            return end
        found = 0
        while place > 0:
            start = max(0, place - _BLOCK_BYTES)
            file.seek(start)
            block = file.read(place - start)
            for index in range(len(block) - 1, -1, -1):
                if block[index] == ord("\n") and start + index + 1 < end:
                    found += 1
                    if found == lines:
                        return start + index + 1
            place = start
    return 0
