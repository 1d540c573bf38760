"""What a log says in numbers: curves, and how the ranks ran."""

import math
from typing import Any

import pytest

from opensloth_core.runs.statistics import (
    StepValue,
    eval_curve,
    loss_curve,
    metric_curve,
    rank_statistics,
    straggler_ratios,
    training_speed,
)


def step(number: int, rank: int = 0, **fields: Any) -> dict[str, Any]:
    return {"time": float(number), "kind": "step", "rank": rank, "step": number, **fields}


def resumed(at: int) -> dict[str, Any]:
    return {"time": 0.0, "kind": "resumed", "step": at, "checkpoint": f"checkpoints/step-{at}"}


def evaluation(at: int, loss: float) -> dict[str, Any]:
    return {
        "time": 0.0,
        "kind": "eval",
        "step": at,
        "metrics": {"loss": loss},
        "num_units": 7,
        "seconds": 1.5,
    }


def timed(seconds: dict[int, float], rank: int = 0) -> list[dict[str, Any]]:
    """Steps of 100 tokens each, with the seconds they took."""
    return [
        step(number, rank, tokens=100, step_seconds=s, memory_bytes=10 * number, data_wait_seconds=s / 10)
        for number, s in seconds.items()
    ]


def test_the_loss_curve_is_that_of_rank_0() -> None:
    events = [step(1, loss=3.0), step(1, rank=1, loss=9.0), step(2, loss=2.5)]
    assert loss_curve(events) == [(1, 3.0), (2, 2.5)]


def test_a_step_without_a_loss_has_no_point_and_one_that_is_no_number_has() -> None:
    curve = loss_curve([step(1), step(2, loss=None), step(3, loss=math.nan)])
    assert [point.step for point in curve] == [3]
    assert math.isnan(curve[0].value)


def test_the_later_of_two_equal_steps_counts() -> None:
    events = [step(1, loss=3.0), step(2, loss=9.0), resumed(1), step(2, loss=2.0)]
    assert loss_curve(events) == [(1, 3.0), (2, 2.0)]


def test_a_resume_takes_back_the_steps_after_its_checkpoint_that_were_not_repeated() -> None:
    events = [*(step(n, loss=float(n)) for n in (1, 2, 3, 4)), resumed(2)]
    assert loss_curve(events) == [(1, 1.0), (2, 2.0)]
    assert loss_curve([*events, step(3, loss=33.0)]) == [(1, 1.0), (2, 2.0), (3, 33.0)]


def test_a_run_begun_anew_without_a_checkpoint_takes_back_all() -> None:
    assert loss_curve([step(1, loss=1.0), step(2, loss=2.0), step(1, loss=5.0)]) == [StepValue(1, 5.0)]


def test_metrics_of_a_method_are_curves_of_the_steps_that_have_them() -> None:
    events = [step(1, metrics={"reward": 0.5}), step(2), step(3, metrics={"reward": 0.75, "kl": 0.1})]
    assert metric_curve(events, "reward") == [(1, 0.5), (3, 0.75)]
    assert metric_curve(events, "kl") == [(3, 0.1)]


def test_an_evaluation_after_a_resume_replaces_those_it_took_back() -> None:
    events = [evaluation(0, 3.0), evaluation(10, 2.0), evaluation(20, 9.0), resumed(10), evaluation(20, 1.0)]
    found = eval_curve(events)
    assert [(e.step, e.metrics["loss"]) for e in found] == [(0, 3.0), (10, 2.0), (20, 1.0)]
    assert (found[0].num_units, found[0].seconds) == (7, 1.5)


def test_the_first_two_steps_are_left_out_where_three_remain() -> None:
    [rank] = rank_statistics(timed({1: 50.0, 2: 20.0, 3: 1.0, 4: 2.0, 5: 5.0}))
    assert rank.num_steps == 5
    assert rank.step_seconds == 2.0
    assert rank.tokens_per_second == 300 / 8
    assert rank.data_wait_share == pytest.approx(0.1)
    assert rank.memory_bytes == 50


def test_with_few_steps_the_first_two_count() -> None:
    [rank] = rank_statistics(timed({1: 4.0, 2: 1.0, 3: 1.0, 4: 2.0}))
    assert rank.step_seconds == 1.5
    assert rank.tokens_per_second == 400 / 8


def test_the_steps_after_a_resume_are_warm_up_too() -> None:
    before = timed({1: 50.0, 2: 50.0, 3: 1.0, 4: 1.0, 5: 1.0})
    after = timed({6: 50.0, 7: 50.0, 8: 1.0})
    [rank] = rank_statistics([*before, resumed(5), *after])
    assert rank.num_steps == 8
    assert rank.tokens_per_second == 100.0


def test_peak_memory_is_that_of_all_steps() -> None:
    events = [step(1, memory_bytes=900), *(step(n, memory_bytes=100) for n in range(2, 9))]
    assert rank_statistics(events)[0].memory_bytes == 900


def test_what_an_old_log_does_not_say_is_none() -> None:
    [rank] = rank_statistics([step(1)])
    assert (rank.tokens_per_second, rank.step_seconds, rank.memory_bytes) == (None, None, None)
    assert (rank.data_wait_share, rank.straggler_ratio) == (None, None)
    assert rank_statistics([]) == []


def worked(*seconds: float, number: int = 1) -> list[dict[str, Any]]:
    """A step of several ranks, with the seconds that each worked."""
    return [step(number, rank, own_seconds=own, step_seconds=9.0) for rank, own in enumerate(seconds)]


def test_who_works_longer_than_the_median_rank_keeps_the_others_waiting() -> None:
    events = [*worked(1.0, 4.0, 1.0), *worked(2.0, 6.0, 2.0, number=2), *worked(1.0, 9.0, 1.0, number=3)]
    assert [rank.straggler_ratio for rank in rank_statistics(events)] == [1.0, 4.0, 1.0]


def test_a_step_that_not_every_rank_has_reported_says_nothing_of_stragglers() -> None:
    events = [*worked(1.0, 1.0), *worked(9.0, number=2), *worked(9.0, number=3), step(3, 1)]
    assert [rank.straggler_ratio for rank in rank_statistics(events)] == [1.0, 1.0]


def test_a_single_rank_has_nobody_to_keep_waiting() -> None:
    assert rank_statistics(worked(1.0))[0].straggler_ratio is None


def test_ranks_without_any_work_are_no_stragglers() -> None:
    steps = {rank: [step(1, rank, own_seconds=0.0)] for rank in (0, 1)}
    assert straggler_ratios(steps) == {}


def test_the_speed_of_a_run_is_that_of_all_ranks_in_their_steps_and_its_seconds_those_of_all_steps() -> None:
    # Rank 0 runs 100 tokens in half a second after the warm-up, rank 1 in a whole one; what lies between
    # the steps counts nowhere.
    events = [evaluation(0, 1.0)]
    for rank, seconds in ((0, 0.5), (1, 1.0)):
        events += timed({1: 9.0, 2: 4.0, 3: seconds, 4: seconds, 5: seconds}, rank)
    assert training_speed(events) == (200.0 + 100.0, 9.0 + 4.0 + 3 * 0.5)
    assert training_speed([]) == (None, 0.0)
