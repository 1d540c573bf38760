from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.shard import deal, shard_name, write_shards
from opensloth_core.data.token_file import TokenFile, TokenWriter


@given(st.lists(st.integers(1, 100), max_size=60), st.integers(1, 8))
def test_shards_differ_by_one_pack_at_most_and_by_about_one_pack_in_tokens(
    num_tokens: list[int], num_shards: int
) -> None:
    shards = deal(np.array(num_tokens, dtype=np.int32), num_shards)
    packs = np.bincount(shards, minlength=num_shards)
    tokens = np.bincount(shards, weights=num_tokens, minlength=num_shards)
    assert packs.max() - packs.min() <= 1
    assert tokens.max() - tokens.min() <= max(num_tokens, default=0)


def table(path: Path) -> list[dict[str, list[int]]]:
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all().to_pylist()


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    """Four examples in two batches: ids 10.., 20.., 30.., 40.., of 3, 2, 2 and 1 tokens."""
    with TokenWriter(tmp_path / "tokens") as writer:
        writer.append(
            np.array([10, 11, 12, 20, 21], np.int32),
            np.array([0, 1, 1, 0, 1], bool),
            np.array([3, 2], np.int32),
        )
        writer.append(np.array([], np.int32), np.array([], bool), np.array([], np.int32))
        writer.append(np.array([30, 31, 40], np.int32), np.array([1, 1, 0], bool), np.array([2, 1], np.int32))
    return TokenFile(tmp_path / "tokens")


def test_packs_are_written_to_their_shards_with_labels_and_segments(
    tmp_path: Path, tokens: TokenFile
) -> None:
    written = write_shards(tmp_path, [[0, 2], [1, 3]], tokens, pack_length=5, num_shards=2)
    assert written.shards == ["shard-00000-of-00002.arrow", "shard-00001-of-00002.arrow"]
    # Example 2 has every token trained, but its first label would be predicted by example 0.
    assert table(tmp_path / written.shards[0]) == [
        {"input_ids": [10, 11, 12, 30, 31], "labels": [-100, 11, 12, -100, 31], "seq_lengths": [3, 2]}
    ]
    assert table(tmp_path / written.shards[1]) == [
        {"input_ids": [20, 21, 40], "labels": [-100, 21, -100], "seq_lengths": [2, 1]}
    ]
    assert table(tmp_path / "packs.arrow") == [
        {"shard": 0, "row": 0, "num_tokens": 5, "num_trained": 3},
        {"shard": 1, "row": 0, "num_tokens": 3, "num_trained": 1},
    ]


def test_fewer_packs_than_shards_leave_shards_without_rows(tmp_path: Path, tokens: TokenFile) -> None:
    written = write_shards(tmp_path, [[0, 1, 2, 3]], tokens, pack_length=8, num_shards=2)
    assert [len(table(tmp_path / name)) for name in written.shards] == [1, 0]


def test_datasets_maps_a_shard_into_memory(tmp_path: Path, tokens: TokenFile) -> None:
    from datasets import Dataset

    write_shards(tmp_path, [[0, 1, 2, 3]], tokens, pack_length=8, num_shards=2)
    dataset = Dataset.from_file(str(tmp_path / shard_name(0, 2)))
    assert dataset[0]["seq_lengths"] == [3, 2, 2, 1]
    assert dataset.cache_files
    assert len(Dataset.from_file(str(tmp_path / shard_name(1, 2)))) == 0
