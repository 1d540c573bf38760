"""`os-train server status`."""

import contextlib
import json
import time
from typing import Any

from flows.cli.cache.answer import answered
from flows.cli.cache.words import age, date
from flows.cli.server.words import DOWN, NOT_UP, facts, other_server, print_facts
from flows.server.ask import FlowRun, answer_of, unfinished_runs
from flows.server.record import ServerRecord, began_ticks, read_record


def run_status(as_json: bool) -> int:
    """Say what is up and give the exit code."""
    return answered("os-train server status", lambda: _status(as_json))


def _status(as_json: bool) -> int:
    record = read_record()
    if record is None:
        print(json.dumps({"up": False, "server": False, "worker": False}, indent=2) if as_json else NOT_UP)
        return DOWN
    answer = answer_of(record.address)
    worker = record.state == "up" and record.worker is not None and began_ticks(record.worker) is not None
    runs: list[FlowRun] | None = None
    if answer == "up":
        with contextlib.suppress(OSError, ValueError):
            runs = unfinished_runs(record.address)
    is_up = answer != "down" and worker
    if as_json:
        print(json.dumps(_as_json(record, answer, worker, runs), indent=2))
        return 0 if is_up else DOWN
    state = "up" if is_up else record.state if record.state != "up" else "not all up"
    print_facts(
        {
            "Server": f"{state}, since {date(record.started)} ({age(time.time() - record.started)})",
            "Prefect": f"{_WORDS[answer]} (process {record.server})",
            "Worker": f"{'up' if worker else 'down'} (process {record.worker}), pool opensloth",
            "Runs": _runs(runs),
            **facts(record),
        }
    )
    if other := other_server(record):
        print(other)
    return 0 if is_up else DOWN


_WORDS = {
    "up": "answers",
    "password": "asks for a password: set PREFECT_API_AUTH_STRING",
    "down": "does not answer",
}


def _runs(runs: list[FlowRun] | None) -> str:
    if runs is None:
        return "not known"
    if not runs:
        return "none"
    return "\n".join(f"{'' if not i else ' ' * 11}{run.name} ({run.state})" for i, run in enumerate(runs))


def _as_json(record: ServerRecord, answer: str, worker: bool, runs: list[FlowRun] | None) -> dict[str, Any]:
    return {
        "up": answer != "down" and worker,
        "state": record.state,
        "server": answer != "down",
        "worker": worker,
        "page": record.page,
        "address": record.address,
        "since": record.started,
        "processes": {"keeper": record.keeper, "server": record.server, "worker": record.worker},
        "roots": record.roots,
        "output_roots": record.output_roots,
        "limit": record.limit,
        "runs": None
        if runs is None
        else [{"id": run.id, "name": run.name, "state": run.state} for run in runs],
    }
