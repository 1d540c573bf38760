import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.pack import pack

DATA = Path(__file__).parents[4] / "shared" / "data"


def packs_of(lengths: list[int], capacity: int) -> list[list[int]]:
    return [members.tolist() for members in pack(np.array(lengths, dtype=np.int32), capacity)]


def test_the_longest_example_goes_first_into_the_fullest_pack_it_fits() -> None:
    # 6 opens a pack (4 left), 5 another (5 left); 4 fills the first though the other has room; 3 goes there.
    assert packs_of([3, 4, 5, 6], 10) == [[0, 2], [1, 3]]


def test_of_equally_long_examples_the_earlier_goes_first() -> None:
    assert packs_of([5, 5, 5, 5], 10) == [[0, 1], [2, 3]]


def test_an_example_as_long_as_a_pack_is_alone() -> None:
    assert packs_of([1, 10, 1], 10) == [[0, 2], [1]]


def test_nothing_to_pack_gives_no_packs() -> None:
    assert packs_of([], 10) == []


@pytest.mark.parametrize("lengths", [[11], [0], [3, -1]])
def test_a_length_out_of_bounds_is_an_error(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=r"not within 1\.\.10"):
        pack(np.array(lengths), 10)


@given(st.lists(st.integers(1, 64), max_size=200))
def test_pack_never_splits_an_example_nor_fills_a_pack_beyond_its_capacity(lengths: list[int]) -> None:
    packs = packs_of(lengths, 64)
    assert sorted(index for members in packs for index in members) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in members) <= 64 for members in packs)
    assert all(members == sorted(members) for members in packs)
    assert [members[0] for members in packs] == sorted(members[0] for members in packs)


@given(st.lists(st.integers(1, 64), max_size=200))
def test_no_two_packs_would_fit_into_one(lengths: list[int]) -> None:
    used = sorted(sum(lengths[index] for index in members) for members in packs_of(lengths, 64))
    assert len(used) < 2 or used[0] + used[1] > 64


def test_100_000_lengths_are_packed_within_seconds_and_nearly_full() -> None:
    lengths = np.random.default_rng(0).lognormal(5.3, 0.8, 100_000).clip(8, 2048).astype(np.int32)
    start = time.process_time()
    packs = pack(lengths, 2048)
    # The target is 0.5 s on an idle core; tests share theirs.
    assert time.process_time() - start < 2
    assert lengths.sum() / (len(packs) * 2048) > 0.999


def fill(lengths: npt.NDArray[np.int32], capacity: int) -> float:
    return int(lengths.sum()) / (len(pack(lengths, capacity)) * capacity)


@pytest.mark.parametrize("capacity", [2048, 4096])
def test_packs_of_20_000_rows_are_nearly_full(capacity: int) -> None:
    generator = np.random.default_rng(0)
    # Like chat data in general, like math questions, and like both with short instructions.
    chats = generator.lognormal(5.3, 0.8, 20_000).clip(8, capacity).astype(np.int32)
    questions = generator.lognormal(5.33, 0.32, 20_000).clip(97, 570).astype(np.int32)
    mixed = np.concatenate(
        [questions[:17_500], generator.lognormal(5.2, 0.5, 2500).clip(47, 750).astype(np.int32)]
    )
    for lengths in (chats, questions, mixed):
        assert fill(lengths, capacity) >= 0.999


@pytest.mark.parametrize("capacity", [2048, 4096])
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data is not here")
def test_packs_of_20_000_real_rows_are_nearly_full(capacity: int) -> None:
    texts = (DATA / "gsm8k_train.jsonl").read_text().splitlines()
    texts += [json.dumps(row) for row in json.loads((DATA / "alpaca_en_demo.json").read_text())]
    # Four characters a token, and 20 tokens around.
    lengths = np.array([20 + len(text) // 4 for text in texts], np.int32)
    lengths = np.random.default_rng(0).choice(lengths, 20_000)
    assert fill(lengths, capacity) >= 0.999
