import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.select import Mask, held_out, row_priority, sample
from opensloth_core.errors import DataError


def rows(mask: Mask) -> list[int]:
    return np.flatnonzero(mask).tolist()


usable = st.lists(st.booleans(), max_size=60).map(lambda flags: np.array(flags, np.bool_))


@given(usable, st.integers(1, 20), st.integers(0, 5))
def test_a_sample_tries_rows_until_enough_are_usable(usable_R: Mask, size: int, seed: int) -> None:
    priority_R = row_priority(len(usable_R), seed)
    tried_R = sample(usable_R, priority_R, size)
    assert (tried_R & usable_R).sum() == min(size, usable_R.sum())
    if usable_R.sum() < size:
        assert tried_R.all()
    else:
        # Rows that come later have been passed over, usable or not, and the last one tried is usable.
        last = priority_R[tried_R].max()
        assert rows(tried_R) == rows(priority_R <= last)
        assert usable_R[priority_R == last].all()


@given(usable, st.integers(1, 20))
def test_without_priorities_the_first_rows_are_tried(usable_R: Mask, size: int) -> None:
    tried_R = sample(usable_R, None, size)
    assert rows(tried_R) == list(range(tried_R.sum()))
    assert (tried_R & usable_R).sum() == min(size, usable_R.sum())


@given(usable, st.integers(1, 10), st.integers(0, 3), st.data())
def test_a_sample_is_the_same_however_many_rows_were_looked_at(
    usable_R: Mask, size: int, seed: int, data: st.DataObject
) -> None:
    priority_R = row_priority(len(usable_R), seed)
    num_looked_at = data.draw(st.integers(0, len(usable_R)))
    wanted = np.sort(np.argsort(priority_R, kind="stable")[:num_looked_at])
    few_R = sample(usable_R[wanted], priority_R[wanted], size)
    if usable_R[wanted].sum() >= size:
        assert wanted[few_R].tolist() == rows(sample(usable_R, priority_R, size))


def test_a_sample_depends_on_the_seed_and_is_not_the_head() -> None:
    drawn = [rows(sample(np.ones(100, np.bool_), row_priority(100, seed), 10)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] != list(range(10)) != drawn[2]


def test_every_row_is_drawn_equally_often() -> None:
    counts = sum(sample(np.ones(20, np.bool_), row_priority(20, seed), 5).astype(int) for seed in range(800))
    # 200 each, with a standard deviation of sqrt(800 * 1/4 * 3/4) = 12.
    assert counts.min() > 150 and counts.max() < 250


def test_the_priorities_are_the_same_on_every_machine_and_stay_when_rows_are_added() -> None:
    # What numpy documents for default_rng(42).random(3).
    shares = (row_priority(3, 42) / 2**64).tolist()
    assert shares == pytest.approx([0.77395605, 0.43887844, 0.85859792], abs=1e-8)
    assert row_priority(5, 42)[:3].tolist() == row_priority(3, 42).tolist()


def groups(num_rows: int, num_groups: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.choice(generator.integers(0, 2**64, num_groups, np.uint64), num_rows)


@given(st.integers(2, 60), st.integers(2, 20), st.integers(0, 5), st.integers(1, 30))
def test_a_prompt_is_on_one_side_only(num_rows: int, num_groups: int, seed: int, size: int) -> None:
    group_R = groups(num_rows, num_groups, seed)
    try:
        held_R = held_out(group_R, size, seed)
    except DataError:
        return
    assert not set(group_R[held_R].tolist()) & set(group_R[~held_R].tolist())
    assert held_R.any() and not held_R.all()
    # At least as many rows as asked for, and without the last group fewer.
    smallest = min(np.unique(group_R[held_R], return_counts=True)[1])
    assert held_R.sum() >= size > held_R.sum() - max(np.unique(group_R, return_counts=True)[1])
    assert smallest >= 1


def test_the_size_is_a_share_or_a_number_of_rows() -> None:
    group_R = groups(1000, 10_000)
    assert held_out(group_R, 0.05, 42).sum() == held_out(group_R, 50, 42).sum() == 50
    assert held_out(group_R, 1, 42).sum() == 1
    assert held_out(group_R, 999, 42).sum() == 999


def test_another_seed_holds_out_other_rows_and_the_same_the_same() -> None:
    group_R = groups(1000, 10_000)
    held = [rows(held_out(group_R, 100, seed)) for seed in (1, 1, 2)]
    assert held[0] == held[1]
    # 10 of 100 by chance.
    assert len(set(held[0]) & set(held[2])) < 30


def test_the_order_of_the_rows_decides_nothing() -> None:
    group_R = groups(1000, 300)
    shuffled = np.random.default_rng(1).permutation(1000)
    assert held_out(group_R, 0.1, 7)[shuffled].tolist() == held_out(group_R[shuffled], 0.1, 7).tolist()


def test_added_rows_move_none_to_the_other_side_but_those_at_the_limit() -> None:
    group_R = groups(2000, 10**6)
    before_R = held_out(group_R, 0.1, 42)
    for num_added in (1, 20, 2000):
        grown_R = np.concatenate([group_R, groups(num_added, 10**6, seed=9)])
        after_R = held_out(grown_R, 0.1, 42)[:2000]
        moved_in, moved_out = (after_R & ~before_R).sum(), (before_R & ~after_R).sum()
        # The limit moves one way, by the chance that more or fewer of the added rows lie below it.
        assert min(moved_in, moved_out) == 0
        assert max(moved_in, moved_out) <= 3 * np.sqrt(0.1 * num_added) + 1


def test_rows_added_to_a_prompt_stay_with_it() -> None:
    group_R = groups(500, 400)
    held_R = held_out(group_R, 0.1, 42)
    again_R = held_out(np.concatenate([group_R, group_R]), 0.1, 42)
    assert again_R[500:].tolist() == again_R[:500].tolist() == held_R.tolist()


@pytest.mark.parametrize(
    ("group_R", "size", "told"),
    [
        ([1, 1, 1], 0.5, "eval_size 0.5: of 3 usable rows with 1 different prompts it would hold out 3"),
        ([1, 2, 3], 3, "eval_size 3: of 3 usable rows with 3 different prompts it would hold out 3"),
        ([1, 2, 3], 100, "eval_size 100: of 3 usable rows with 3 different prompts it would hold out 3"),
        ([1, 2, 3], 0.1, "eval_size 0.1: of 3 usable rows with 3 different prompts it would hold out 0"),
    ],
)
def test_a_size_that_leaves_one_side_empty_is_refused(group_R: list[int], size: float, told: str) -> None:
    with pytest.raises(DataError) as caught:
        held_out(np.array(group_R, np.uint64), size, 42)
    assert str(caught.value) == f"{told}; give a size that leaves rows on both sides"
