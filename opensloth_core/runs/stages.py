"""The stages of a run that last a while and count nothing, with how long they took before."""

import time
from collections.abc import Sequence
from typing import Literal

from opensloth_core.runs.alike import completed_runs_alike
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import Event
from opensloth_core.runs.history import read_outline
from opensloth_core.runs.report.timeline import Span, timeline

LEAST_SECONDS = 1.0

_PHASES = {
    # What is left out is waiting for the data.
    "warming": ("import", "model load", "join", "trainer set-up"),
    "saving": ("saving",),
}
"""Phases of the time line that a stage is made of."""


def enter_stage(run: RunDirectory, stage: Literal["warming", "saving"]) -> None:
    """Record that the run enters a stage, and what it will take by the newest completed run alike."""
    devices = run.launch().devices
    alike = completed_runs_alike(run.config(), len(devices), on_gpu=devices[0] != "cpu")
    taken = (sum(span.seconds for span in _spans(record.events, stage)) for record in alike)
    seconds = next((found for found in taken if found), None)
    if seconds is not None:
        # The ranks may have begun beside the preparation of the data.
        done = _seconds_so_far(run) if stage == "warming" else 0.0
        seconds = max(LEAST_SECONDS, seconds - done)
    run.events.state(stage, expected_seconds=seconds)


def _spans(events: Sequence[Event], stage: str) -> list[Span]:
    """What rank 0 did in a stage, at the last attempt."""
    spans = timeline(events)
    last = max((span.attempt for span in spans), default=0)
    return [s for s in spans if s.phase in _PHASES[stage] and s.rank == 0 and s.attempt == last]


def _seconds_so_far(run: RunDirectory) -> float:
    marks = read_outline(run).all("mark")  # the log of a run that goes on may be long
    begun = [mark["time"] for mark in marks if mark["name"] == "started"]
    return max(0.0, time.time() - begun[-1]) if begun else 0.0
