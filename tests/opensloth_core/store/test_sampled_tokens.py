"""A sample of a large input: only the rows that are tried get tokens, and it is the same sample."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.chunk import RawChunk
from opensloth_core.errors import DataError

Files = dict[str, bytes]
Prepare = Callable[..., Files]

NUM_ROWS = 3000


def row(number: int, bad: int) -> dict[str, Any]:
    """Every `bad`-th row is unusable, and every eleventh too long."""
    question = f"What is {number}?" * (20 if number % 11 == 3 else 1)
    return {"question": question, "answer": "" if number % bad == 1 else f"It is {number}."}


@pytest.fixture
def config(config: DatasetPrepConfig, encode_here: list[RawChunk]) -> DatasetPrepConfig:
    """Prepares 3,000 rows, a sixth of which cannot be used."""
    write(config, [row(number, 13) for number in range(NUM_ROWS)])
    return config.model_copy(update={"max_rejected": 1.0})


def write(config: DatasetPrepConfig, rows: list[Any]) -> None:
    Path(config.data[0]).write_text("".join(json.dumps(row) + "\n" for row in rows))


def num_rows_encoded(chunks: list[RawChunk]) -> int:
    number = sum(len(chunk.rows) for chunk in chunks)
    chunks.clear()
    return number


@pytest.mark.parametrize(
    "changes",
    [
        {"samples": 100},
        {"samples": 100, "seed": 1},
        {"samples": 100, "samples_from": "head"},
        {"samples": 100, "eval_size": 0.2},
        {"samples": 1},
        {"samples": 2500},
        {"samples": 5000},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items()),
)
def test_a_sample_is_the_one_that_is_drawn_when_all_rows_have_tokens(
    changes: dict[str, Any],
    config: DatasetPrepConfig,
    prepared_files: Prepare,
    cold_files: Prepare,
    encode_here: list[RawChunk],
) -> None:
    sampled = config.model_copy(update=changes)
    from_few = cold_files(sampled)
    num_encoded = num_rows_encoded(encode_here)
    prepared_files(config)
    assert num_rows_encoded(encode_here) == NUM_ROWS
    assert prepared_files(sampled) == from_few
    assert num_rows_encoded(encode_here) == 0
    if changes["samples"] <= 100:
        # The sample, a twentieth of it and 64 more, at most twice.
        assert num_encoded <= 3 * (100 + 5 + 64)
    ledger = json.loads(from_few["ledger.json"])
    assert ledger["rows_read"] == NUM_ROWS
    assert ledger["rows_kept"] + ledger["rows_held_out"] == min(changes["samples"], 2517)


def test_where_few_rows_can_be_used_more_and_more_are_tried(
    config: DatasetPrepConfig, cold_files: Prepare, prepared_files: Prepare, encode_here: list[RawChunk]
) -> None:
    write(
        config,
        [row(number, 2) if number % 10 else {"question": "", "answer": ""} for number in range(NUM_ROWS)],
    )
    sampled = config.model_copy(update={"samples": 300})
    from_few = cold_files(sampled)
    # 379 rows, then twice and four times as many.
    assert num_rows_encoded(encode_here) == 379 * (1 + 2 + 4)
    prepared_files(config)
    assert prepared_files(sampled) == from_few
    assert json.loads(from_few["ledger.json"])["rows_kept"] == 300


def test_two_samples_of_one_seed_share_their_tokens(
    config: DatasetPrepConfig, prepared_files: Prepare, encode_here: list[RawChunk]
) -> None:
    prepared_files(config.model_copy(update={"samples": 100}))
    assert num_rows_encoded(encode_here) > 0
    prepared_files(config.model_copy(update={"samples": 100, "max_seq_length": 500, "eval_size": 7}))
    assert num_rows_encoded(encode_here) == 0


def test_the_larger_sample_contains_the_smaller_one(
    config: DatasetPrepConfig, prepared_files: Prepare
) -> None:
    packs = []
    for samples in (50, 200):
        files = prepared_files(config.model_copy(update={"samples": samples}), 1)
        rows = pa.ipc.open_stream(files["shard-00000-of-00001.arrow"]).read_all().to_pylist()
        examples = set()
        for row in rows:
            start = 0
            for length in row["seq_lengths"]:
                examples.add(tuple(row["input_ids"][start : start + length]))
                start += length
        packs.append(examples)
    assert (len(packs[0]), len(packs[1])) == (50, 200)
    assert packs[0] < packs[1]


def test_the_layout_is_that_of_the_file_whichever_rows_are_drawn(
    config: DatasetPrepConfig, cold_files: Prepare, prepared_files: Prepare
) -> None:
    """Rows of another layout are unusable, though a sample may hold nothing else at first."""
    rows: list[Any] = [row(number, 13) for number in range(120)]
    rows += [{"instruction": f"Say {number}.", "output": f"{number}."} for number in range(2000)]
    write(config, rows)
    sampled = config.model_copy(update={"samples": 5})
    from_few = cold_files(sampled)
    prepared_files(config)
    assert prepared_files(sampled) == from_few


def test_a_limit_on_unusable_rows_counts_those_that_were_tried(
    config: DatasetPrepConfig, prepared_files: Prepare
) -> None:
    with pytest.raises(DataError, match=r"^train: \d+ of \d\d rows"):
        prepared_files(config.model_copy(update={"samples": 50, "max_rejected": 0.01}))
