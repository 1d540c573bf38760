"""The event log of a run: one JSON object a line, appended by every process of the run.

The log is the one record of what a run does. Terminals, the web page and the final report are
views of it. Kinds of event, beside `time` (Unix seconds) and `kind`:

    state      state (see `RunState`), message?, exit_code? (of the command, where it failed),
               expected_seconds? (what it will take, by an earlier run)
    flow       flow_run_id                                 the Prefect flow run that drives it
    progress   phase, done, total (None when unknown)      a long piece of work moves
    prepared   key, cached, seconds, ledger                the data is ready
    mark       rank, name: one of started (with pid), imported, loaded, data, joined, ready, trained, saved
    pulse      rank                                        it runs batches or writes completions
    batch      batch_size, gradient_accumulation_steps, gradient_checkpointing      as they are at last
    step       rank, world_size, step, total_steps, loss, grad_norm, learning_rate,
               tokens, trained_tokens, tokens_per_second (of this rank), step_seconds, memory_bytes,
               data_wait_seconds, own_seconds (of work, without waiting for other ranks; null if alone),
               metrics (name -> number: what else the method measures)
    eval       step, metrics, num_units, num_held_out, seconds
               of the units held out, num_units were evaluated
    generation moment (before | after), samples: prompt, completion, reference
    checkpoint step, path, seconds, bytes                  what a run can resume from
    resumed    step, checkpoint                            this attempt goes on from there
    versions   package -> version, python, platform, devices
    message    level (info | warning | error), text        a line for the person watching
    result     adapter_dir, steps, final_loss, tokens_per_second (of all ranks), seconds (of all steps)
"""

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from opensloth_core.errors import StoreError

RunState = Literal[
    "created",
    "preparing",
    "warming",
    "training",
    "saving",
    "evaluating",
    "completed",
    "failed",
    "cancelled",
    "crashed",
]

Event = Mapping[str, Any]

Progress = Callable[[str, int, int | None], None]
"""Called as `progress(phase, done, total)`; total is None when unknown."""


def no_progress(phase: str, done: int, total: int | None) -> None:
    """A `Progress` for callers that watch nothing."""


class EventLog:
    """Appends events to one file.

    A line is written by one `write` on a descriptor opened with O_APPEND, so lines of several
    processes on a local disk do not mix.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_torn = False
        """Whether there was room for a part of the last line only."""

    def write(self, kind: str, **fields: Any) -> None:
        """Append one event.

        Raises:
            StoreError: the file cannot be written, or its disk is full.
        """
        line = json.dumps({"time": time.time(), "kind": kind, **fields}, default=str).encode() + b"\n"
        if self._is_torn:
            line = b"\n" + line
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                written = os.write(fd, line)
                self._is_torn = written < len(line)
                if self._is_torn:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(fd)
        except OSError as err:
            raise StoreError(
                f"{self.path}: cannot be written: {err.strerror}; "
                "make room, or set OPENSLOTH_HOME to a folder you can write"
            ) from err

    def mend(self) -> None:
        """End a line that a killed process left half written, so that the next event is a line of its own."""
        if self.path.exists() and not _ends_with_newline(self.path):
            with self.path.open("ab") as file:
                file.write(b"\n")

    def state(
        self, state: RunState, message: str | None = None, expected_seconds: float | None = None
    ) -> None:
        """Record that the run entered `state`."""
        told = {"message": message or None, "expected_seconds": expected_seconds}
        self.write("state", state=state, **{name: value for name, value in told.items() if value is not None})

    def mark(self, name: str, rank: int, **fields: Any) -> None:
        """Record that a rank has come so far."""
        self.write("mark", name=name, rank=rank, **fields)

    def message(self, text: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """Record a line for the person watching."""
        self.write("message", level=level, text=text)

    def progress(self, phase: str, done: int, total: int | None) -> None:
        """Record progress of a phase; a `Progress`."""
        self.write("progress", phase=phase, done=done, total=total)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


class EventReader:
    """Reads a log as it grows; a line still being written is left for the next call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_events(self) -> Iterator[dict[str, Any]]:
        """Events appended since the last call; none while the file does not exist."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                try:
                    event = json.loads(line)
                except ValueError:  # torn by a kill
                    continue
                yield event


def read_events(path: Path) -> list[dict[str, Any]]:
    """All complete events of a log."""
    return list(EventReader(path).new_events())
