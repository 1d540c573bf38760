"""Runs whose process was killed before it could say how they ended, and how the others ended."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.find import last_state, trains
from opensloth_core.runs.listing import newest_first
from opensloth_core.runs.lock import is_running
from opensloth_core.runs.resume import resume_line

FINAL = frozenset({"completed", "failed", "cancelled", "crashed"})
RUNS_LOOKED_AT = 100


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
    found = [run for run in islice(newest_first(), RUNS_LOOKED_AT) if _is_abandoned(run)]
    for run in found:
        way_out = f"; {resume_line(run)}" if trains(run) else ""
        run.events.mend()
        run.events.state("crashed", f"the process that drove it was killed{way_out}")
    return found


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
    # A run without a lock was created and is not driven yet.
    return run.lock_path.exists() and not is_running(run) and last_state(run) not in FINAL
