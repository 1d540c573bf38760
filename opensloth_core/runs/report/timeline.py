"""When a run did what, read from its event log."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from opensloth_core.runs.events import Event
from opensloth_core.runs.statistics import number

MARK_PHASES = {
    "imported": "import",
    "loaded": "model load",
    "data": "wait for data",
    "joined": "join",
    "ready": "trainer set-up",
    "trained": "training",
    "saved": "saving",
}
"""What a rank did until it wrote a mark, in the order of the marks."""

STATE_PHASES = {"warming": "start-up", "training": "training", "saving": "saving"}
"""What the ranks did in a state, where they wrote no marks."""


@dataclass(frozen=True)
class Span:
    """A phase of a run; times are seconds since the run was created."""

    phase: str
    start_seconds: float
    end_seconds: float
    rank: int | None
    """None for what is done once for all ranks."""

    attempt: int
    """0 for the first start of the run, 1 for the next, which resumed it."""

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


Piece = tuple[str, float, float, int | None]
"""Phase, start and end in Unix seconds, rank."""


def timeline(events: Sequence[Event]) -> list[Span]:
    """Preparation, what each rank did, and evaluations, by attempt and start.

    A phase that never ended, since the run failed in it or is still in it, lasts until the last event of
    its attempt. What ranks wait for beside is inside their phase: evaluations during training.
    """
    created = events[0]["time"] if events else 0.0
    spans = [
        Span(phase, start - created, max(start, end) - created, rank, attempt)
        for attempt, log in enumerate(attempts(events))
        for phase, start, end, rank in _pieces(log)
    ]
    return sorted(spans, key=lambda s: (s.attempt, s.start_seconds, s.end_seconds, s.rank or 0))


def attempts(events: Sequence[Event]) -> list[Sequence[Event]]:
    """The log cut at each new start of the run; empty for an empty log."""
    cuts, has_begun = [0], False
    started: set[int] = set()
    for place, event in enumerate(events):
        rank = event.get("rank") if _is_mark(event, "started") else None
        begins = event["kind"] == "state" and event.get("state") in ("created", "preparing")
        if place and ((begins and has_begun) or rank in started):
            cuts.append(_first_of_start(events, place, cuts[-1]))
            started, has_begun = set(), False
        if rank is not None:
            started.add(rank)
        has_begun = has_begun or (event["kind"] == "state" and event.get("state") != "created")
    ends = [*cuts[1:], len(events)]
    return [events[start:end] for start, end in zip(cuts, ends, strict=True) if start < end]


def time_to_first_step(events: Sequence[Event]) -> float | None:
    """Seconds from the creation of the run until its first optimizer step was done."""
    return next((event["time"] - events[0]["time"] for event in events if event["kind"] == "step"), None)


def running_seconds(events: Sequence[Event]) -> float:
    """How long the run ran, the time between its attempts left out."""
    return float(sum(log[-1]["time"] - log[0]["time"] for log in attempts(events)))


def _first_of_start(events: Sequence[Event], place: int, earliest: int) -> int:
    """Where a new start at `place` begins: of the messages before it, some may be part of it.

    The longest pause among them is taken for the time between the attempts.
    """
    first = place
    while first - 1 > earliest and _may_begin(events[first - 1]):
        first -= 1
    return max(range(first, place + 1), key=lambda i: float(events[i]["time"] - events[i - 1]["time"]))


def _may_begin(event: Event) -> bool:
    """Whether an event may belong to a start that has yet to say so."""
    # Whoever starts next records that the attempt before was killed.
    return event["kind"] in ("message", "versions", "progress", "flow", "resumed") or (
        event["kind"] == "state" and event.get("state") == "crashed"
    )


def _pieces(log: Sequence[Event]) -> Iterator[Piece]:
    yield from _preparation(log)
    marked = list(_by_marks(log))
    yield from marked or _by_states(log)
    for event in log:
        if event["kind"] == "eval" and (seconds := _seconds(event)):
            yield "evaluation", event["time"] - seconds, event["time"], None


def _preparation(log: Sequence[Event]) -> Iterator[Piece]:
    begun: float | None = None
    for event in log:
        if event["kind"] == "state" and event.get("state") == "preparing":
            begun = event["time"]
            yield "preflight", log[0]["time"], begun, None
        elif event["kind"] == "prepared":
            start = begun if begun is not None else event["time"] - _seconds(event)
            yield "prepare", start, event["time"], None
            return
    if begun is not None:
        yield "prepare", begun, log[-1]["time"], None


def _by_marks(log: Sequence[Event]) -> Iterator[Piece]:
    """What each rank did from one mark to the next."""
    ranks = sorted({event.get("rank") or 0 for event in log if event["kind"] == "mark"})
    phases = list(MARK_PHASES.items())
    for rank in ranks:
        own = [event for event in log if event["kind"] == "mark" and (event.get("rank") or 0) == rank]
        for before, event in pairwise(own):
            if phase := MARK_PHASES.get(event.get("name", "")):
                yield phase, _start(log, phase, before["time"], event["time"]), event["time"], rank
        # The phase it was in when the log ends is the one whose mark is missing.
        done = {event.get("name") for event in own}
        following = next((phase for name, phase in phases if name not in done), None)
        if following and log[-1]["time"] > own[-1]["time"]:
            end = log[-1]["time"]
            yield following, _start(log, following, own[-1]["time"], end), end, rank


def _start(log: Sequence[Event], phase: str, before: float, end: float) -> float:
    """When a phase began that follows something marked: saving waits for the last evaluation."""
    if phase != "saving":
        return before
    evaluated = [float(e["time"]) for e in log if e["kind"] == "eval" and e["time"] <= end]
    return max([before, *evaluated])


def _by_states(log: Sequence[Event]) -> Iterator[Piece]:
    states = [event for event in log if event["kind"] == "state"]
    for place, event in enumerate(states):
        if phase := STATE_PHASES.get(event.get("state", "")):
            end = states[place + 1]["time"] if place + 1 < len(states) else log[-1]["time"]
            yield phase, event["time"], end, None


def _seconds(event: Event) -> float:
    """How long what an event tells of took; 0 where it does not say."""
    seconds = number(event, "seconds")
    return seconds if seconds is not None and math.isfinite(seconds) else 0.0


def _is_mark(event: Event, name: str) -> bool:
    return event["kind"] == "mark" and event.get("name") == name
