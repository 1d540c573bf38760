"""What ranks make of one another's completions."""

from statistics import pstdev

import pytest

from opensloth_core.errors import DataError, TrainingError
from opensloth_core.training.grpo.rank_step import RankStep, step_metrics, together

FIRST = RankStep(
    rewards=[1.0, 0.0],
    scores={"math": [1.0, 0.0], "length": [None, None]},
    num_tokens=[4, 8],
    is_finished=[True, False],
    generate_seconds=2.0,
    reward_seconds=0.5,
)
SECOND = RankStep(
    rewards=[0.5, 0.5],
    scores={"math": [None, None], "length": [0.5, 0.5]},
    num_tokens=[1, 3],
    is_finished=[True, True],
    generate_seconds=1.0,
    reward_seconds=0.75,
)


def test_metrics_are_those_of_the_completions_of_all_ranks() -> None:
    metrics = step_metrics(together([FIRST, SECOND]), num_generations=2)
    assert metrics == {
        "reward": 0.5,
        "reward_std": pytest.approx(pstdev([1.0, 0.0, 0.5, 0.5])),
        "frac_reward_zero_std": 0.5,
        "frac_no_reward": 0.0,
        "completions/mean_length": 4.0,
        "completions/min_length": 1.0,
        "completions/max_length": 8.0,
        "completions/finished": 0.75,
        "seconds/generate": 2.0,
        "seconds/reward": 0.75,
        "rewards/math": 0.5,
        "rewards/length": 0.5,
    }


def test_a_reward_that_applied_nowhere_has_no_metric() -> None:
    assert "rewards/length" not in step_metrics(FIRST, num_generations=2)


def test_completions_without_a_reward_are_counted_and_are_in_no_mean() -> None:
    third = RankStep(
        rewards=[None, None, 1.0, None],
        scores={"math": [None, None, 1.0, None], "length": [None] * 4},
        num_tokens=[8, 8, 2, 8],
        is_finished=[True] * 4,
        left_out=["the prompt that ends with '?': no"],
    )
    step = together([FIRST, third])
    assert step.left_out == third.left_out
    assert step.num_trained_tokens == 4 + 8 + 2
    metrics = step_metrics(step, num_generations=2)
    # Three groups: 1 and 0; none; 1 alone.
    assert metrics["frac_no_reward"] == 0.5
    assert metrics["frac_reward_zero_std"] == pytest.approx(2 / 3)
    assert metrics["reward"] == metrics["rewards/math"] == pytest.approx(2 / 3)
    nothing = step_metrics(RankStep([None], {"math": [None]}, [], [8], [True]), num_generations=1)
    assert "reward" not in nothing and nothing["frac_no_reward"] == 1


def test_an_error_of_one_rank_is_raised_by_all_as_what_it_was() -> None:
    for parts in (
        [FIRST, RankStep(error=DataError("no reference"))],
        [RankStep(error=DataError("no reference")), FIRST],
    ):
        with pytest.raises(DataError, match="no reference"):
            together(parts)


def test_the_first_of_several_errors_counts() -> None:
    with pytest.raises(TrainingError, match="first"):
        together([RankStep(error=TrainingError("first")), RankStep(error=DataError("second"))])
