"""Runs whose process was killed before it could say how they ended, and how the others ended."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.find import last_state, trains
from opensloth_core.runs.listing import newest_first
from opensloth_core.runs.lock import is_running, is_starting
from opensloth_core.runs.resume import resume_line
from opensloth_core.store.file_lock import lock_file

FINAL = frozenset({"completed", "failed", "cancelled", "crashed"})
RUNS_LOOKED_AT = 100

KILLED = "the process that drove it was killed"
NEVER_BEGUN = "nobody began with it; the command that created it was killed"


@dataclass(frozen=True)
class Ended:
    """How a run ended that nobody drives any more."""

    state: str
    """One of `FINAL`."""

    message: str | None
    time: float
    """Unix seconds."""

    flow_run_ids: frozenset[str]
    """The flow runs that drove it, of every attempt."""


def mark_abandoned() -> list[RunDirectory]:
    """Record `crashed` for every run that says it goes on while nobody drives it. Gives these runs.

    Of the newest `RUNS_LOOKED_AT` only, since the whole log of each of them is read.
    """
    runs = islice(newest_first(), RUNS_LOOKED_AT)
    return [run for run in runs if _is_abandoned(run) and _marked(run)]


def why_crashed(run: RunDirectory) -> str:
    """What became of a run that says it goes on while nobody drives it."""
    return KILLED if run.lock_path.exists() else NEVER_BEGUN


def how_ended(run: RunDirectory) -> Ended | None:
    """How a run ended; None where it has not, or is driven again."""
    if is_running(run) or not run.events_path.exists():
        return None
    events = read_events(run.events_path)
    states = [event for event in events if event["kind"] == "state"]
    if not states or states[-1]["state"] not in FINAL:
        return None
    ids = frozenset(str(event["flow_run_id"]) for event in events if event["kind"] == "flow")
    return Ended(states[-1]["state"], states[-1].get("message"), states[-1]["time"], ids)


def ends_by_flow_run(flow_run_ids: Collection[str]) -> dict[str, Ended]:
    """How the runs ended that these flow runs drove, where they are among the newest of this home."""
    found: dict[str, Ended] = {}
    for run in islice(newest_first(), RUNS_LOOKED_AT):
        end = how_ended(run)
        if end is not None:
            found |= dict.fromkeys(end.flow_run_ids.intersection(flow_run_ids), end)
    return found


def _is_abandoned(run: RunDirectory) -> bool:
    return not is_starting(run) and not is_running(run) and last_state(run) not in FINAL


def _marked(run: RunDirectory) -> bool:
    """Record that a run crashed, unless somebody goes on with it by now; whether it was recorded."""
    message = why_crashed(run)
    if trains(run):
        message += f"; {resume_line(run)}"
    held = lock_file(run.lock_path, wait=False)
    if held is None:
        return False
    try:
        is_abandoned = last_state(run) not in FINAL
        if is_abandoned:
            run.events.mend()
            run.events.state("crashed", message)
        return is_abandoned
    finally:
        os.close(held)
