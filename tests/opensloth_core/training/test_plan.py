"""The step contract: the packs of a step never depend on the number of ranks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensloth_core.config.batch import BatchPlan
from opensloth_core.training.plan import FILLER, TrainingPlan, training_plan

TOKENS = np.array([100, 90, 80, 70, 60, 50])
TRAINED = np.array([10, 9, 8, 7, 6, 5])


def plan(batch: BatchPlan, epochs: float = 1.0, max_steps: int | None = None, seed: int = 0) -> TrainingPlan:
    return training_plan(TOKENS, TRAINED, batch, epochs, max_steps, seed)


def packs_of_steps(training: TrainingPlan) -> list[list[int]]:
    return [sorted(step.reshape(-1).tolist()) for step in training.units_SWAB]


@pytest.mark.parametrize("batch", [BatchPlan(2, 1, 2), BatchPlan(1, 1, 4), BatchPlan(1, 4, 1)])
def test_the_packs_of_a_step_do_not_depend_on_the_ranks(batch: BatchPlan) -> None:
    one_rank = plan(BatchPlan(4, 1, 1), epochs=3)
    assert packs_of_steps(plan(batch, epochs=3)) == packs_of_steps(one_rank)


def test_an_epoch_holds_every_pack_once_and_fills_its_last_step() -> None:
    training = plan(BatchPlan(2, 2, 1))
    assert training.units_SWAB.shape == (2, 1, 2, 2)
    assert sorted(training.units_SWAB.reshape(-1).tolist()) == [FILLER, FILLER, 0, 1, 2, 3, 4, 5]
    assert FILLER not in training.units_SWAB[0]


def test_where_nothing_can_be_ignored_the_last_step_takes_the_first_units_once_more() -> None:
    training = training_plan(TOKENS, TRAINED, BatchPlan(2, 2, 1), 1.0, None, 0, repeat=True)
    first, last = packs_of_steps(training)
    assert len(set(first + last)) == 6
    order = np.random.default_rng((0, 0)).permutation(6).tolist()
    assert sorted(last) == sorted(order[4:] + order[:2])
    tiny = training_plan(TOKENS[:1], TRAINED[:1], BatchPlan(4, 1, 1), 1.0, None, 0, repeat=True)
    assert packs_of_steps(tiny) == [[0, 0, 0, 0]]
    assert tiny.trained_tokens_S.tolist() == [40]


def test_trained_tokens_of_the_steps_add_up_over_all_ranks() -> None:
    training = plan(BatchPlan(1, 2, 2), epochs=2)
    assert training.trained_tokens_S.sum() == 2 * (10 + 9 + 8 + 7 + 6 + 5)


def test_epochs_are_ordered_differently_and_the_seed_decides() -> None:
    two_epochs = plan(BatchPlan(1, 1, 1), epochs=2, seed=1).slots_of(0)
    assert two_epochs[:6].tolist() != two_epochs[6:].tolist()
    assert plan(BatchPlan(1, 1, 1), epochs=2, seed=1).slots_of(0).tolist() == two_epochs.tolist()
    assert plan(BatchPlan(1, 1, 1), epochs=2, seed=2).slots_of(0).tolist() != two_epochs.tolist()


def test_a_fraction_of_an_epoch_and_a_number_of_steps() -> None:
    # 6 packs in steps of 2 are 3 steps an epoch; half of that is 1.5, so 2.
    assert plan(BatchPlan(2, 1, 1), epochs=0.5).num_steps == 2
    assert plan(BatchPlan(2, 1, 1), epochs=1, max_steps=7).num_steps == 7
    assert plan(BatchPlan(2, 1, 1), epochs=9, max_steps=1).num_steps == 1


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    short, long = plan(BatchPlan(2, 1, 1), max_steps=2), plan(BatchPlan(2, 1, 1), max_steps=8)
    assert long.units_SWAB[:2].tolist() == short.units_SWAB.tolist()


def test_packs_are_dealt_longest_first_to_the_rank_with_fewest_tokens() -> None:
    # One step of all six: 100 | 90, then 80 to the second, 70 to the first, 60 to the second, 50 is left.
    dealt = plan(BatchPlan(3, 1, 2)).units_SWAB[0]
    assert [sorted(TOKENS[hand].reshape(-1).tolist()) for hand in dealt] == [[50, 70, 100], [60, 80, 90]]


@settings(max_examples=50, deadline=None)
@given(
    tokens=st.lists(st.integers(1, 2048), min_size=1, max_size=60),
    world_size=st.integers(1, 8),
    accumulation=st.integers(1, 3),
    batch_size=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_every_rank_has_as_many_slots_and_no_pack_is_lost(
    tokens: list[int], world_size: int, accumulation: int, batch_size: int, seed: int
) -> None:
    lengths = np.array(tokens)
    batch = BatchPlan(batch_size, accumulation, world_size)
    training = training_plan(lengths, lengths, batch, 1.0, None, seed)
    assert training.units_SWAB.shape[1:] == (world_size, accumulation, batch_size)
    slots = training.units_SWAB.reshape(-1)
    assert sorted(slots[slots != FILLER].tolist()) == list(range(len(tokens)))
    assert training.trained_tokens_S.sum() == lengths.sum()


def test_ranks_train_about_equally_many_tokens_over_the_steps() -> None:
    # Full packs, of which between a tenth and nine tenths of the tokens are trained.
    num_tokens = np.full(400, 2048)
    num_trained = np.random.default_rng(0).integers(205, 1843, 400)
    whole = training_plan(num_tokens, num_trained, BatchPlan(2, 2, 4), 1.0, None, 42)
    by_rank = num_trained[whole.units_SWAB].sum(axis=(0, 2, 3))
    assert by_rank.max() - by_rank.min() < 0.01 * by_rank.mean()
