"""When a run did what."""

from collections.abc import Sequence
from typing import Any

from opensloth_core.runs.report.timeline import attempts, running_seconds, time_to_first_step, timeline
from tests.opensloth_core.runs.report.written_run import (
    EVENTS,
    FIRST_ATTEMPT,
    NEXT_DAY,
    SECOND_ATTEMPT,
    at,
    start,
    state,
)


def spans_of(
    events: Sequence[dict[str, Any]], rank: int | None, attempt: int = 0
) -> dict[str, tuple[float, float]]:
    return {
        span.phase: (span.start_seconds, span.end_seconds)
        for span in timeline(events)
        if span.rank == rank and span.attempt == attempt
    }


def test_each_rank_has_a_phase_between_two_marks() -> None:
    assert spans_of(EVENTS, rank=1) == {
        "import": (5.5, 15.5),
        "model load": (15.5, 19.5),
        "wait for data": (19.5, 20.5),
        "join": (20.5, 21.5),
        "trainer set-up": (21.5, 22.5),
        "training": (22.5, 34.0),
    }


def test_what_is_done_once_has_no_rank() -> None:
    assert spans_of(EVENTS, rank=None) == {
        "preflight": (0.0, 5.0),
        "prepare": (5.0, 8.0),
        "evaluation": (23.0, 25.0),
    }


def test_saving_begins_when_the_last_evaluation_is_done() -> None:
    spans = spans_of(EVENTS, rank=0, attempt=1)
    assert spans["training"] == (NEXT_DAY + 20, NEXT_DAY + 28)
    assert spans["saving"] == (NEXT_DAY + 31, NEXT_DAY + 34)


def test_a_phase_that_a_failure_ends_lasts_until_the_failure() -> None:
    marks = [at(2, "mark", rank=0, name="started"), at(12, "mark", rank=0, name="imported")]
    events = [state(0, "created"), *marks, state(15, "failed", message="no such model")]
    assert spans_of(events, rank=0) == {"import": (2.0, 12.0), "model load": (12.0, 15.0)}


def test_a_run_without_marks_has_the_phases_of_its_states() -> None:
    states = ["created", "preparing", "warming", "training", "saving", "completed"]
    events = [state(10 * n, name) for n, name in enumerate(states)]
    events.insert(2, at(19, "prepared", key="k", cached=False, seconds=9.0))
    assert spans_of(events, rank=None) == {
        "preflight": (0.0, 10.0),
        "prepare": (10.0, 19.0),
        "start-up": (20.0, 30.0),
        "training": (30.0, 40.0),
        "saving": (40.0, 50.0),
    }


def test_attempts_are_told_apart_and_the_night_between_them_does_not_count() -> None:
    assert attempts(EVENTS) == [FIRST_ATTEMPT, SECOND_ATTEMPT]
    assert running_seconds(EVENTS) == 34 + 35


def test_ranks_that_start_before_their_run_prepares_start_the_attempt() -> None:
    first = [state(0, "created"), *start(1), state(2, "preparing"), state(20, "training")]
    second = [*start(500), state(501, "preparing"), state(520, "training")]
    assert attempts([*first, *second]) == [first, second]


def test_the_first_step_counts_from_the_creation() -> None:
    assert time_to_first_step(EVENTS) == 27
    assert time_to_first_step(EVENTS[:5]) is None


def test_an_empty_log_has_no_time_line() -> None:
    assert timeline([]) == []
    assert attempts([]) == []
    assert time_to_first_step([]) is None
    assert running_seconds([]) == 0


def test_an_evaluation_whose_seconds_are_no_number_has_no_phase() -> None:
    events = [state(0, "created"), at(9, "eval", step=1, metrics={}, seconds=float("nan"))]
    assert timeline(events) == []
