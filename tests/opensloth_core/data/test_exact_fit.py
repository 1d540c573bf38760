import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.best_fit import best_fit
from opensloth_core.data.exact_fit import exact_fit
from opensloth_core.data.pack import pack


def packs_of(lengths: list[int], capacity: int) -> list[list[int]]:
    pack_of = exact_fit(np.array(lengths), capacity).tolist()
    return [[i for i, own in enumerate(pack_of) if own == number] for number in range(max(pack_of) + 1)]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200), st.integers(60, 400))
def test_every_example_is_in_one_pack_and_no_pack_overflows(lengths: list[int], capacity: int) -> None:
    packs = packs_of(lengths, capacity)
    assert sorted(index for members in packs for index in members) == list(range(len(lengths)))
    assert max(sum(lengths[index] for index in members) for members in packs) <= capacity


@given(st.lists(st.sampled_from([1, 5, 90, 340, 350, 700]), min_size=1, max_size=100))
def test_lengths_of_very_different_size_never_overflow(lengths: list[int]) -> None:
    packs = packs_of(lengths, 1000)
    assert sorted(index for members in packs for index in members) == list(range(len(lengths)))
    assert max(sum(lengths[index] for index in members) for members in packs) <= 1000


def test_a_pair_or_three_that_fill_the_room_exactly_are_found() -> None:
    # 410 = 260 + 150; best-fit decreasing would join 260 and 150 as well, but not 210 + 140 + 60.
    assert packs_of([150, 260], 410) == [[0, 1]]
    assert packs_of([210, 140, 60], 410) == [[0, 1, 2]]


def test_two_of_one_length_are_needed_to_fill_a_room_with_two_of_it() -> None:
    assert packs_of([50], 100) == [[0]]
    assert packs_of([50, 50, 50], 100) == [[0, 1], [2]]
    assert packs_of([50, 50], 150) == [[0, 1]]


def test_like_lengths_are_packed_nearly_full_where_best_fit_is_not() -> None:
    lengths = np.random.default_rng(0).integers(150, 400, 20_000)
    total = lengths.sum()
    assert total / (2048 * (max(best_fit(lengths, 2048)) + 1)) < 0.995
    assert total / (2048 * len(pack(lengths, 2048))) > 0.999


def test_the_packs_of_the_same_lengths_are_the_same() -> None:
    lengths = np.random.default_rng(1).integers(150, 400, 500)
    assert exact_fit(lengths, 2048) == exact_fit(lengths.copy(), 2048)
