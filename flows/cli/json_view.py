"""`--json`: a run as JSON, one object a line.

Every event of the run's log as it stands there, with `--verbose` also `log` (source, text) for each line that
a process of the run prints; `error` (program, text) should there be one; and last

    end        run, path, state, adapter, data, exit_code       null where it did not come to that
"""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from flows.cli.shown import Shown
from flows.cli.tell import tell

if TYPE_CHECKING:
    from opensloth_core.runs.directory import RunDirectory


class JsonView:
    """Writes every event."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, event: Mapping[str, Any]) -> None:
        self._stream.write(_line(event) + "\n")
        self._stream.flush()

    def refresh(self) -> None:
        """Nothing moves between events."""

    def close(self) -> None:
        """The end is the command's to tell, since it knows the exit code."""


def clean_stdout(shown: Shown) -> AbstractContextManager[object]:
    """Have what libraries print go to stderr, where stdout is for JSON."""
    return redirect_stdout(sys.stderr) if shown.as_json else nullcontext()


def tell_error(program: str, message: str) -> None:
    """Print an error."""
    tell(sys.stdout, _line({"time": time.time(), "kind": "error", "program": program, "text": message}))


def tell_end(run: "RunDirectory | None", exit_code: int) -> None:
    """Print the last line.

    Args:
        run: None where there is none: what was asked for is refused.
    """
    end: dict[str, Any] = {"run": None, "path": None, "state": None, "adapter": None, "data": None}
    if run is not None:
        from opensloth_core.runs.find import last_state

        end |= {"run": run.path.name, "path": run.path, "state": last_state(run), **_results(run)}
    tell(sys.stdout, _line({"time": time.time(), "kind": "end", **end, "exit_code": exit_code}))


def refused_as_json(program: str, message: str, exit_code: int = 2) -> int:
    """Print why a command line is refused, and give the exit code."""
    tell_error(program, message)
    tell_end(None, exit_code)
    return exit_code


def _results(run: "RunDirectory") -> dict[str, object]:
    from opensloth_core.runs.events import read_events
    from opensloth_core.store.prepared import prepared_dir

    last = {event["kind"]: event for event in read_events(run.events_path)}
    key = last.get("prepared", {}).get("key")
    return {
        "adapter": last.get("result", {}).get("adapter_dir"),
        "data": None if key is None else prepared_dir(key),
    }


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(_finite(record), default=str, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    """The same with null for numbers that JSON cannot write."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(one) for one in value]
    return value
