"""What becomes of examples that are too long, on examples written out by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.segments import Fitted, fit
from opensloth_core.data.token_file import TokenTable
from tests.opensloth_core.data.token_examples import encoded, table_of


def fitted(table: TokenTable, max_seq_length: int, **settings: Any) -> Fitted:
    config = DatasetPrepConfig.of({"data": "x", "model": "x", "max_seq_length": max_seq_length, **settings})
    found = fit(table, config)
    check(table, found, config)
    return found


def check(table: TokenTable, found: Fitted, config: DatasetPrepConfig) -> None:
    """Every token of every example is used, truncated or dropped."""
    if config.method == "sft":
        used_E = np.zeros(len(table), np.int64)
        np.add.at(used_E, found.segments.example_S, found.segments.lengths_S)
        accounted_E = used_E + found.num_truncated_E + found.num_dropped_E
        assert accounted_E.tolist() == table.lengths_E.tolist()
        assert (found.segments.lengths_S <= config.max_seq_length).all()
    assert (found.num_truncated_E >= 0).all() and (found.num_dropped_E >= 0).all()


def segments(found: Fitted) -> list[tuple[int, int, int]]:
    parts = found.segments
    return list(zip(parts.example_S.tolist(), parts.start_S.tolist(), parts.stop_S.tolist(), strict=True))


@pytest.fixture
def table(tmp_path: Path) -> TokenTable:
    """Lengths 3, 7, 4, 9: an answer at the end, in the middle, all but the first, and far behind."""
    masks = [
        [0, 0, 1],
        [0, 0, 1, 1, 0, 0, 1],
        [0, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 0, 1, 1],
    ]
    return table_of(tmp_path / "part", encoded([list(range(len(mask))) for mask in masks], masks))


@pytest.mark.parametrize("overlong", ["drop", "error"])
def test_an_example_that_is_too_long_is_dropped_whole(table: TokenTable, overlong: str) -> None:
    found = fitted(table, 4, overlong=overlong)
    assert segments(found) == [(0, 0, 3), (2, 0, 4)]
    assert found.overlong_E.tolist() == [False, True, False, True]
    assert found.num_dropped_E.tolist() == [0, 7, 0, 9]
    assert found.num_truncated_E.tolist() == [0, 0, 0, 0]


def test_an_example_that_is_too_long_loses_its_end(table: TokenTable) -> None:
    found = fitted(table, 4, overlong="truncate")
    # Nothing of the last example's first 4 tokens is trained.
    assert segments(found) == [(0, 0, 3), (1, 0, 4), (2, 0, 4)]
    assert found.num_truncated_E.tolist() == [0, 3, 0, 0]
    assert found.num_dropped_E.tolist() == [0, 0, 0, 9]
    assert found.overlong_E.tolist() == [False, True, False, True]


def test_an_example_that_is_too_long_is_trained_in_parts(table: TokenTable) -> None:
    found = fitted(table, 4, overlong="split")
    # Of the second example 0-4 and 4-7; of the fourth 0-4 has nothing to train, 4-8 has, 8-9 has only its
    # first token, which nothing predicts.
    assert segments(found) == [(0, 0, 3), (1, 0, 4), (1, 4, 7), (2, 0, 4), (3, 4, 8)]
    assert found.num_dropped_E.tolist() == [0, 0, 0, 5]
    assert found.num_truncated_E.tolist() == [0, 0, 0, 0]
    assert found.overlong_E.tolist() == [False, True, False, True]


@pytest.mark.parametrize("overlong", ["drop", "truncate", "split", "error"])
def test_what_fits_is_left_alone(table: TokenTable, overlong: str) -> None:
    found = fitted(table, 9, overlong=overlong)
    assert segments(found) == [(0, 0, 3), (1, 0, 7), (2, 0, 4), (3, 0, 9)]
    assert not found.overlong_E.any()
    assert not found.num_dropped_E.any() and not found.num_truncated_E.any()


@pytest.mark.parametrize("overlong", ["drop", "truncate", "split"])
def test_nothing_is_left_where_nothing_fits(table: TokenTable, overlong: str) -> None:
    found = fitted(table, 1, overlong=overlong)
    assert segments(found) == []
    assert found.num_dropped_E.tolist() == [3, 7, 4, 9]


def test_without_examples_there_are_no_segments(tmp_path: Path) -> None:
    empty = table_of(tmp_path / "part")
    for method, overlong in [("sft", "drop"), ("sft", "split"), ("dpo", "truncate"), ("grpo", "drop")]:
        assert len(fit(empty, DatasetPrepConfig.of(
            {"data": "x", "model": "x", "method": method, "overlong": overlong})).segments) == 0  # fmt: skip


@given(
    masks=st.lists(st.lists(st.booleans(), min_size=1, max_size=20), min_size=1, max_size=8),
    limit=st.integers(1, 20),
    overlong=st.sampled_from(["drop", "truncate", "split"]),
)
def test_every_token_is_used_or_counted_and_every_part_trains_something(
    masks: list[list[bool]], limit: int, overlong: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    masks = [[False, *mask[1:]] for mask in masks]
    chunk = encoded([list(range(len(mask))) for mask in masks], masks)  # type: ignore[arg-type]
    table = table_of(tmp_path_factory.getbasetemp() / "segments.arrow", chunk)
    found = fitted(table, limit, overlong=overlong)
    for example, start, stop in segments(found):
        is_whole = (start, stop) == (0, len(masks[example]))
        assert is_whole or any(masks[example][start + 1 : stop])
    kept = sum(sum(masks[example][start + 1 : stop]) for example, start, stop in segments(found))
    if overlong == "split":
        # Only the first token of a part loses its label.
        firsts = sum(sum(mask[limit::limit]) for mask in masks)
        assert kept == sum(map(sum, masks)) - firsts


@pytest.fixture
def pairs(tmp_path: Path) -> TokenTable:
    """Prompt, chosen and rejected: 2+3+4, 4+1+1, 6+2+2, 3+1+5 tokens."""
    sizes = [(2, 3, 4), (4, 1, 1), (6, 2, 2), (3, 1, 5)]
    return table_of(
        tmp_path / "part",
        encoded(
            [list(range(sum(size))) for size in sizes],
            [[0] * size[0] + [1] * (size[1] + size[2]) for size in sizes],
            num_prompt=[size[0] for size in sizes],
            num_chosen=[size[1] for size in sizes],
        ),
    )


def test_a_pair_is_as_long_as_its_prompt_with_the_longer_answer(pairs: TokenTable) -> None:
    found = fitted(pairs, 6, method="dpo")
    # 2+4, 4+1, 6+2, 3+5
    assert found.overlong_E.tolist() == [False, False, True, True]
    assert segments(found) == [(0, 0, 9), (1, 0, 6)]
    assert found.num_dropped_E.tolist() == [0, 0, 10, 9]


def test_both_answers_of_a_pair_lose_their_ends(pairs: TokenTable) -> None:
    found = fitted(pairs, 5, method="dpo", overlong="truncate")
    # 2+4 loses 1 of rejected; 3+5 loses 3 of rejected; no room is left after the prompt of 6.
    assert segments(found) == [(0, 0, 9), (1, 0, 6), (3, 0, 9)]
    assert found.num_truncated_E.tolist() == [1, 0, 0, 3]
    assert found.num_dropped_E.tolist() == [0, 0, 10, 0]
    found = fitted(pairs, 4, method="dpo", overlong="truncate")
    # 2+3 and 2+4 lose 1 and 2; nothing is left of the answers to a prompt of 4.
    assert segments(found) == [(0, 0, 9), (3, 0, 9)]
    assert found.num_truncated_E.tolist() == [3, 0, 0, 4]


def test_a_prompt_that_is_too_long_is_dropped(table: TokenTable) -> None:
    found = fitted(table, 4, method="grpo")
    assert segments(found) == [(0, 0, 3), (2, 0, 4)]
    assert found.num_dropped_E.tolist() == [0, 7, 0, 9]
