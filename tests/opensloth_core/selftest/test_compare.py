"""When runs count as equal, and what is said when they are not; by hand."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opensloth_core.selftest.compare import CPU_LIMITS, Differences, differences
from opensloth_core.selftest.parity import Parity
from opensloth_core.selftest.runs import MeasuredRun, Variant, variants

ONE, TWO, ACCUMULATED = variants(num_ranks=2)


def run(variant: Variant, loss: float = 0.0, grad_norm: float = 0.0, weight: float = 0.0) -> MeasuredRun:
    """Three steps and three weights, with something added in the middle."""
    return MeasuredRun(
        variant,
        loss_S=[5.0, 4.0 + loss, 3.0],
        grad_norm_S=[1.0, 0.5 + grad_norm, 0.25],
        weights={"a": np.array([1.0, 2.0 + weight], np.float32), "b": np.array([[3.0]], np.float32)},
        tokens_per_second=100.0,
        run_dir=Path("gone"),
    )


def parity(*runs: MeasuredRun) -> Parity:
    return Parity("sft", on_gpu=False, runs=list(runs), limits=CPU_LIMITS)


def test_every_variant_has_the_same_global_batch() -> None:
    for ranks in (1, 2, 3, 8):
        sizes = {one.ranks * one.batch_size * one.accumulation for one in variants(ranks)}
        assert sizes == {2 * max(2, ranks)}
    assert [one.name for one in variants(1)] == ["1 rank", "accumulation 2"]
    assert [one.name for one in variants(8)] == ["1 rank", "8 ranks", "accumulation 8"]


def test_differences_are_the_largest_of_any_step_and_weight() -> None:
    found = differences(run(ONE), run(TWO, loss=-0.25, grad_norm=0.125, weight=0.5))
    # The norm is compared relatively: 0.125 of 0.5.
    assert found == Differences(loss=0.25, grad_norm=0.25, weights=0.5)


def test_runs_of_other_steps_or_weights_are_infinitely_apart() -> None:
    shorter = replace(run(TWO), loss_S=[5.0, 4.0], grad_norm_S=[1.0, 0.5])
    fewer = replace(run(TWO), weights={"a": np.array([1.0, 2.0], np.float32)})
    other = replace(run(TWO), weights={**run(TWO).weights, "b": np.array([3.0], np.float32)})
    for wrong in (shorter, fewer, other):
        assert differences(run(ONE), wrong) == Differences(math.inf, math.inf, math.inf)


def test_equal_runs_pass() -> None:
    found = parity(run(ONE), run(TWO, loss=9e-6, grad_norm=4e-6), run(ACCUMULATED))
    assert found.passed
    assert found.problem() is None
    assert found.as_json()["runs"][0]["differences"] is None


@pytest.mark.parametrize(
    "wrong", [{"loss": 1.1e-5}, {"grad_norm": 6e-6}, {"weight": 2e-6}, {"loss": math.nan}]
)
def test_each_of_the_three_alone_can_fail_it(wrong: dict[str, float]) -> None:
    # 6e-6 of a norm of 0.5 are 1.2e-5.
    assert not parity(run(ONE), run(TWO, **wrong), run(ACCUMULATED)).passed


def test_a_difference_of_ranks_alone_points_to_what_they_exchange() -> None:
    problem = parity(run(ONE), run(TWO, loss=0.1), run(ACCUMULATED)).problem()
    assert problem is not None and problem.startswith("2 ranks come to another result than one, though acc")


def test_a_difference_with_accumulation_points_to_the_division_of_the_loss() -> None:
    problem = parity(run(ONE), run(TWO, loss=0.1), run(ACCUMULATED, loss=0.1)).problem()
    assert (
        problem is not None and "the loss of a step is not divided by what the whole step trains" in problem
    )


def test_runs_that_train_nothing_do_not_pass_for_being_equal() -> None:
    still = [replace(run(one), loss_S=[5.0, 5.0, 5.0]) for one in (ONE, TWO, ACCUMULATED)]
    assert not parity(*still).passed
    assert parity(*still).problem() == "the loss never fell on one rank: the model is not trained at all"
