"""Whether a model is better than the one before it."""

import math

import pytest

from opensloth_core.retrain.verdict import EARLIER, NEW, Measured, judge


def measured(new: float, earlier: float | None = None, metric: str = "loss") -> Measured:
    rows = {NEW: {metric: new}}
    return Measured(rows if earlier is None else {**rows, EARLIER: {metric: earlier}})


@pytest.mark.parametrize(
    ("old", "new", "is_better"),
    [
        (2.0, 1.79, True),
        (2.0, 1.81, False),
        (2.0, 2.5, False),
        (2.0, math.nan, False),
        (2.0, math.inf, False),
        (math.inf, 2.0, True),
        (math.nan, 2.0, True),
        (0.0, 0.0, False),
    ],
)
def test_the_loss_has_to_fall_by_the_share_that_is_asked_for(old: float, new: float, is_better: bool) -> None:
    assert judge("sft", measured(old), measured(new), 0.1).is_better is is_better


@pytest.mark.parametrize(
    ("old", "new", "is_better"),
    [
        (0.5, 0.55, True),
        (0.5, 0.54, False),
        (0.5, 0.4, False),
        (-1.0, -0.8, True),  # by a fifth of 1, not of -1
        (0.0, 0.01, True),  # there is no share of nothing, so any gain counts
        (0.0, -0.01, False),
    ],
)
def test_the_reward_has_to_rise(old: float, new: float, is_better: bool) -> None:
    found = judge("grpo", measured(old, metric="reward"), measured(new, metric="reward"), 0.1)
    assert found.is_better is is_better


def test_held_out_prompts_that_no_reward_applies_to_promote_nothing() -> None:
    found = judge("grpo", Measured({NEW: {}}), Measured({NEW: {}}), 0)
    assert not found.is_better
    assert found.why.startswith("reward on the new rows nan -> nan (no number)")
    rated = {NEW: {"reward": 0.5}, EARLIER: {}}, {NEW: {"reward": 0.75}, EARLIER: {}}
    assert judge("grpo", *map(Measured, rated), 0).is_better


def test_without_a_share_any_gain_counts_but_the_same_model_is_none() -> None:
    assert judge("dpo", measured(0.6), measured(0.5999), 0).is_better
    same = judge("dpo", measured(0.6), measured(0.6), 0, "version 0001-ab12")
    assert not same.is_better
    assert same.why == (
        "loss on the new rows 0.6 -> 0.6 (the same); better than version 0001-ab12 is asked for"
    )


def test_who_learnt_wrong_answers_and_forgot_right_ones_is_refused() -> None:
    """Half of the new rows are wrong, held-out ones too: on those the new model halves the loss."""
    found = judge("sft", measured(2.0, 0.5), measured(1.0, 1.5), 0.01, "version 0001-ab12")
    assert not found.is_better
    assert found.why == (
        "loss on the new rows 2 -> 1 (50.0% better), but loss on the earlier rows 0.5 -> 1.5 (200.0% worse), "
        "on which version 0001-ab12 was judged: look at the rows that are new"
    )


@pytest.mark.parametrize(("earlier", "is_better"), [(0.505, True), (0.52, False), (math.nan, False)])
def test_on_earlier_rows_as_much_may_be_lost_as_has_to_be_gained(earlier: float, is_better: bool) -> None:
    assert judge("sft", measured(2.0, 0.5), measured(1.0, earlier), 0.02).is_better is is_better


def test_metrics_of_both_sets_have_names_of_their_own() -> None:
    assert measured(2.0, 0.5).flat == {"loss": 2.0, "earlier/loss": 0.5}
