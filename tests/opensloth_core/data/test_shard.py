from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data import shard
from opensloth_core.data.segments import Segments
from opensloth_core.data.shard import EVAL_FILE, UNITS_FILE, deal, shard_name, write_eval, write_shards
from opensloth_core.data.token_file import TokenTable
from opensloth_core.data.units import PackUnits
from tests.opensloth_core.data.token_examples import encoded, packs_of, table_of


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(1, 8))
def test_shards_differ_by_one_unit_at_most_and_by_about_one_unit_in_tokens(
    num_tokens: list[int], num_shards: int
) -> None:
    shards = deal(np.array(num_tokens, dtype=np.int32), num_shards)
    units = np.bincount(shards, minlength=num_shards)
    tokens = np.bincount(shards, weights=num_tokens, minlength=num_shards)
    assert units.max() - units.min() <= 1
    assert tokens.max() - tokens.min() <= max(num_tokens, default=0)


def table(path: Path) -> list[dict[str, Any]]:
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all().to_pylist()


@pytest.fixture
def tokens(tmp_path: Path) -> TokenTable:
    """Four examples in two batches: ids 10.., 20.., 30.., 40.., of 3, 2, 2 and 1 tokens."""
    first = encoded([[10, 11, 12], [20, 21]], [[0, 1, 1], [0, 1]])
    second = encoded([[30, 31], [40]], [[1, 1], [0]])
    return table_of(tmp_path / "part", first, second)


def packs(tokens: TokenTable, *members: list[int]) -> PackUnits:
    segments = Segments(np.arange(len(tokens)), np.zeros(len(tokens), np.int32), tokens.lengths_E)
    return PackUnits(tokens, segments, packs_of(*members))


def test_units_are_written_to_their_shards_and_told_in_their_order(
    tmp_path: Path, tokens: TokenTable
) -> None:
    written = write_shards(tmp_path, packs(tokens, [0], [1, 3], [2]), num_shards=2)
    # Tokens 3, 3, 2: the first round deals 3 to each shard, the second 2 to the first.
    assert written.shards == ["shard-00000-of-00002.arrow", "shard-00001-of-00002.arrow"]
    assert [row["input_ids"] for row in table(tmp_path / written.shards[0])] == [[10, 11, 12], [30, 31]]
    assert [row["input_ids"] for row in table(tmp_path / written.shards[1])] == [[20, 21, 40]]
    assert table(tmp_path / UNITS_FILE) == [
        {"shard": 0, "row": 0, "num_tokens": 3, "num_trained": 2},
        {"shard": 1, "row": 0, "num_tokens": 3, "num_trained": 1},
        {"shard": 0, "row": 1, "num_tokens": 2, "num_trained": 1},
    ]
    assert (written.num_tokens_U.tolist(), written.num_trained_U.tolist()) == ([3, 3, 2], [2, 1, 1])


def test_the_batches_that_units_are_written_in_change_nothing(
    tmp_path: Path, tokens: TokenTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for most in (256, 1):
        monkeypatch.setattr(shard, "_MAX_UNITS_PER_BATCH", most)
        folder = tmp_path / str(most)
        folder.mkdir()
        written = write_shards(folder, packs(tokens, [0], [1], [2], [3]), num_shards=2)
        contents.append([table(folder / name) for name in [*written.shards, UNITS_FILE]])
    assert contents[0] == contents[1]


def test_fewer_units_than_shards_leave_shards_without_rows(tmp_path: Path, tokens: TokenTable) -> None:
    written = write_shards(tmp_path, packs(tokens, [0, 1, 2, 3]), num_shards=2)
    assert [len(table(tmp_path / name)) for name in written.shards] == [1, 0]


def test_what_is_held_out_is_written_whole_in_its_order(tmp_path: Path, tokens: TokenTable) -> None:
    write_eval(tmp_path, packs(tokens, [3], [0, 1]))
    assert [row["input_ids"] for row in table(tmp_path / EVAL_FILE)] == [[40], [10, 11, 12, 20, 21]]


def test_progress_counts_the_units_of_all_shards(tmp_path: Path, tokens: TokenTable) -> None:
    reports: list[tuple[str, int, int | None]] = []
    write_shards(tmp_path, packs(tokens, [0], [1], [2], [3]), 2, lambda *report: reports.append(report))
    assert reports == [("write", 2, 4), ("write", 4, 4)]


def test_datasets_maps_a_shard_into_memory(tmp_path: Path, tokens: TokenTable) -> None:
    from datasets import Dataset

    write_shards(tmp_path, packs(tokens, [0, 1, 2, 3]), num_shards=2)
    dataset = Dataset.from_file(str(tmp_path / shard_name(0, 2)))
    assert dataset[0]["seq_lengths"] == [3, 2, 2, 1]
    assert dataset.cache_files
    assert len(Dataset.from_file(str(tmp_path / shard_name(1, 2)))) == 0
