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


def test_the_size_is_a_number_of_rows_or_the_chance_of_a_prompt() -> None:
    group_R = groups(1000, 10_000)
    assert held_out(group_R, 50, 42).sum() == 50
    assert held_out(group_R, 1, 42).sum() == 1
    assert held_out(group_R, 999, 42).sum() == 999
    # 5000 of 100,000 by chance, with a standard deviation of sqrt(100,000 * 0.05 * 0.95) = 69.
    assert abs(held_out(groups(100_000, 10**6), 0.05, 42).sum() - 5000) < 5 * 69


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


@given(st.data())
def test_with_a_share_no_row_ever_changes_sides(data: st.DataObject) -> None:
    """Whatever is added, removed, repeated or put in another order; also with a limit that rows are near."""
    group_R = groups(200, 150)
    sides = dict(zip(group_R.tolist(), held_out(group_R, 0.3, 42).tolist(), strict=True))
    kept = data.draw(st.permutations(range(200)))[: data.draw(st.integers(150, 200))]
    added = groups(data.draw(st.integers(0, 2000)), 10**6, seed=9)
    later_R = np.concatenate([added, group_R[kept], group_R[kept[:20]]])
    later = zip(later_R.tolist(), held_out(later_R, 0.3, 42).tolist(), strict=True)
    assert all(is_held == sides.get(group, is_held) for group, is_held in later)


def test_a_larger_share_holds_out_the_same_rows_and_more() -> None:
    group_R = groups(2000, 10**6)
    small_R, large_R = held_out(group_R, 0.1, 42), held_out(group_R, 0.2, 42)
    assert not (small_R & ~large_R).any() and large_R.sum() > small_R.sum()


def test_the_sides_are_the_same_in_every_version() -> None:
    """Models that were trained long ago are compared on rows that they did not see."""
    group_R = np.arange(40, dtype=np.uint64)
    assert rows(held_out(group_R, 0.1, 42)) == [0, 2, 4, 8, 18, 25]


def test_with_a_number_added_rows_move_none_but_those_at_the_limit() -> None:
    group_R = groups(2000, 10**6)
    before_R = held_out(group_R, 200, 42)
    after_R = held_out(np.concatenate([group_R, groups(2000, 10**6, seed=9)]), 200, 42)[:2000]
    # The limit moves one way: about half of the 200 are of the added rows now.
    assert not (after_R & ~before_R).any()


def test_rows_added_to_a_prompt_stay_with_it() -> None:
    group_R = groups(500, 400)
    held_R = held_out(group_R, 0.1, 42)
    again_R = held_out(np.concatenate([group_R, group_R]), 0.1, 42)
    assert again_R[500:].tolist() == again_R[:500].tolist() == held_R.tolist()


@pytest.mark.parametrize(
    ("group_R", "size", "told"),
    [
        ([1, 1, 1], 0.99, "eval_size 0.99: of 3 usable rows with 1 different prompts it would hold out 3"),
        ([1, 2, 3], 3, "eval_size 3: of 3 usable rows with 3 different prompts it would hold out 3"),
        ([1, 2, 3], 100, "eval_size 100: of 3 usable rows with 3 different prompts it would hold out 3"),
        ([1, 2, 3], 0.005, "eval_size 0.005: of 3 usable rows with 3 different prompts it would hold out 0"),
    ],
)
def test_a_size_that_leaves_one_side_empty_is_refused(group_R: list[int], size: float, told: str) -> None:
    with pytest.raises(DataError) as caught:
        held_out(np.array(group_R, np.uint64), size, 42)
    way_out = "give a size that leaves rows on both sides" + (", such as a number of rows" * (size < 1))
    assert str(caught.value) == f"{told}; {way_out}"
