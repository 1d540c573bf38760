"""Runs whose process was killed before it could say how they ended."""

from itertools import islice

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.find import last_state, newest_first, trains
from opensloth_core.runs.lock import is_running
from opensloth_core.runs.resume import resume_line

FINAL = frozenset({"completed", "failed", "cancelled", "crashed"})
RUNS_LOOKED_AT = 100


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


def _is_abandoned(run: RunDirectory) -> bool:
    # A run without a lock was created and is not driven yet.
    return run.lock_path.exists() and not is_running(run) and last_state(run) not in FINAL
