"""`os-train server stop`."""

import contextlib
import sys
import time

from flows.cli.cache.answer import answered
from flows.server.ask import unfinished_runs
from flows.server.record import is_kept, read_record
from flows.server.stop import stop_server
from opensloth_core.runs.report.numbers import counted, duration

FAILED = 1


def run_stop() -> int:
    """Stop the server and give the exit code: 0 also where none was up."""
    return answered("os-train server stop", _stop)


def _stop() -> int:
    record, deadline = read_record(), time.monotonic() + 5
    while record is None and is_kept() and time.monotonic() < deadline:  # just being started
        time.sleep(0.1)
        record = read_record()
    if record is None:
        print("no server is up")
        return 0
    began = time.monotonic()
    with contextlib.suppress(OSError, ValueError):
        active = [run for run in unfinished_runs(record.address) if run.has_begun]
        if active:
            print(f"{counted(len(active), 'run')} active; ending those of the worker …", file=sys.stderr)
    if not stop_server(record):
        print("os-train server stop: it did not end by itself and was killed", file=sys.stderr)
        return FAILED
    print(f"The server is stopped (after {duration(time.monotonic() - began)})")
    return 0
