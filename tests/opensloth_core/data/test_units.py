import json
from pathlib import Path

import numpy as np
import pytest

from opensloth_core.data.segments import Segments
from opensloth_core.data.token_file import TokenTable
from opensloth_core.data.units import PackUnits, PairUnits, PromptUnits
from tests.opensloth_core.data.token_examples import encoded, packs_of, table_of


@pytest.fixture
def table(tmp_path: Path) -> TokenTable:
    """Four examples in two batches: ids 10.., 20.., 30.., 40.., of 3, 2, 2 and 1 tokens."""
    first = encoded([[10, 11, 12], [20, 21]], [[0, 1, 1], [0, 1]])
    second = encoded([[30, 31], [40]], [[1, 1], [0]])
    return table_of(tmp_path / "part", first, encoded([], []), second)


def whole(table: TokenTable) -> Segments:
    return Segments(np.arange(len(table)), np.zeros(len(table), np.int32), table.lengths_E)


def test_a_pack_holds_its_examples_with_labels_and_lengths(table: TokenTable) -> None:
    units = PackUnits(table, whole(table), packs_of([0, 2], [1, 3]))
    assert units.num_tokens_U.tolist() == [5, 3]
    rows, num_trained_U = units.batch(np.array([0, 1]))
    # Example 2 has every token trained, but its first label would be predicted by example 0.
    assert rows.to_pylist() == [
        {"input_ids": [10, 11, 12, 30, 31], "labels": [-100, 11, 12, -100, 31], "seq_lengths": [3, 2]},
        {"input_ids": [20, 21, 40], "labels": [-100, 21, -100], "seq_lengths": [2, 1]},
    ]
    assert num_trained_U.tolist() == [3, 1]


def test_some_packs_may_be_asked_for_in_any_order(table: TokenTable) -> None:
    units = PackUnits(table, whole(table), packs_of([0], [1], [2, 3]))
    rows, num_trained_U = units.batch(np.array([2, 0]))
    assert rows["input_ids"].to_pylist() == [[30, 31, 40], [10, 11, 12]]
    assert num_trained_U.tolist() == [1, 2]


def test_the_parts_of_an_example_are_examples_of_their_own(table: TokenTable) -> None:
    segments = Segments(np.array([0, 0, 1]), np.array([0, 2, 0], np.int32), np.array([2, 3, 2], np.int32))
    rows, num_trained_U = PackUnits(table, segments, packs_of([0, 1, 2])).batch(np.array([0]))
    # 12 begins a part: nothing before it predicts it.
    assert rows.to_pylist() == [
        {"input_ids": [10, 11, 12, 20, 21], "labels": [-100, 11, -100, -100, 21], "seq_lengths": [2, 1, 2]}
    ]
    assert num_trained_U.tolist() == [2]


@pytest.fixture
def pairs(tmp_path: Path) -> TokenTable:
    """Prompts 1 2 and 5; answers 3 | 4 4 and 6 6 6 | 7."""
    chunk = encoded(
        [[1, 2, 3, 4, 4], [5, 6, 6, 6, 7]],
        [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]],
        num_prompt=[2, 1],
        num_chosen=[1, 3],
    )
    return table_of(tmp_path / "part", chunk)


def test_a_pair_is_its_prompt_and_both_answers(pairs: TokenTable) -> None:
    units = PairUnits(pairs, np.array([0, 1]), 128)
    rows, num_trained_U = units.batch(np.array([0, 1]))
    assert rows.to_pylist() == [
        {"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4, 4]},
        {"prompt_ids": [5], "chosen_ids": [6, 6, 6], "rejected_ids": [7]},
    ]
    assert (units.num_tokens_U.tolist(), num_trained_U.tolist()) == ([5, 5], [3, 4])


def test_answers_that_are_too_long_are_cut(pairs: TokenTable) -> None:
    units = PairUnits(pairs, np.array([1, 0]), 3)
    rows, num_trained_U = units.batch(np.array([0, 1]))
    assert rows.to_pylist() == [
        {"prompt_ids": [5], "chosen_ids": [6, 6], "rejected_ids": [7]},
        {"prompt_ids": [1, 2], "chosen_ids": [3], "rejected_ids": [4]},
    ]
    assert (units.num_tokens_U.tolist(), num_trained_U.tolist()) == ([4, 4], [3, 2])


def test_a_prompt_is_its_tokens_and_its_columns(tmp_path: Path) -> None:
    texts = [json.dumps({"answer": number}) for number in (1, 2, 3)]
    chunk = encoded([[1], [2, 2], [3]], [[0], [0, 0], [0]], columns=texts)
    units = PromptUnits(table_of(tmp_path / "part", chunk), np.array([2, 1]))
    rows, num_trained_U = units.batch(np.array([0, 1]))
    assert rows.to_pylist() == [
        {"prompt_ids": [3], "columns": texts[2]},
        {"prompt_ids": [2, 2], "columns": texts[1]},
    ]
    assert (units.num_tokens_U.tolist(), num_trained_U.tolist()) == ([1, 2], [0, 0])
