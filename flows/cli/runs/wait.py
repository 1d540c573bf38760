"""`os-train runs wait`."""

import sys
import time

from flows.cli.cache.answer import answered
from flows.cli.runs.words import EXIT_CODES
from opensloth_core.runs.abandoned import FINAL
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.history import read_outline, state_of, summary
from opensloth_core.runs.lock import is_running
from opensloth_core.runs.named import named_run
from opensloth_core.runs.report.numbers import duration
from opensloth_core.runs.resume import resume_line

POLL_SECONDS = 0.25
TIMED_OUT = 124
"""As timeout(1) has it."""


def run_wait(which: str, timeout_seconds: float | None) -> int:
    """Wait for a run's end and give the exit code that says which."""
    return answered("os-train runs wait", lambda: _wait(which, timeout_seconds))


def _wait(which: str, timeout_seconds: float | None) -> int:
    run = named_run(which)
    if not wait_for_end(run, timeout_seconds):
        print(
            f"os-train runs wait: {run.path.name} still goes on after {timeout_seconds:g} s, in state "
            f"{read_outline(run).state}; wait again, or without --timeout",
            file=sys.stderr,
        )
        return TIMED_OUT
    end = summary(run)
    is_told = end.message and end.state != "completed"
    why = f": {str(end.message).splitlines()[0]}" if is_told else ""
    print(f"{run.path.name}: {end.state} after {duration(end.seconds)}{why}")
    if end.state != "completed" and end.trains:
        print(resume_line(run), file=sys.stderr)
    recorded = (read_outline(run).last("state") or {}).get("exit_code")
    return recorded if end.state == "failed" and isinstance(recorded, int) else EXIT_CODES[end.state]


def wait_for_end(run: RunDirectory, timeout_seconds: float | None = None) -> bool:
    """Wait until nobody drives a run any more and it has ended; whether it has."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while is_running(run) or state_of(run, read_outline(run)) not in FINAL:
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
