"""Chunks that have tokens are not encoded again, and nobody can tell from what is prepared."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.tokens import read_chunks

Files = dict[str, bytes]
Prepare = Callable[..., Files]

WORDS = ["red", "green", "blue", "yellow", "white", "black", "brown", "grey", "orange", "violet"]


def rows(num_rows: int, seed: int = 0) -> list[str]:
    """Different rows, some of them unusable."""
    generator = random.Random(seed)

    def row(number: int) -> dict[str, Any]:
        answer = " ".join(generator.choices(WORDS, k=generator.randrange(1, 9)))
        return {"question": f"What is {seed}/{number}?", "answer": answer if number % 50 != 7 else ""}

    return [json.dumps(row(number)) for number in range(num_rows)]


@pytest.fixture
def config(config: DatasetPrepConfig, small_chunks: list[RawChunk]) -> DatasetPrepConfig:
    """Prepares 400 rows in about 35 chunks."""
    write(config, rows(400))
    return config.model_copy(update={"max_rejected": 0.1})


@pytest.fixture
def encoded(small_chunks: list[RawChunk]) -> Callable[[], int]:
    """The number of chunks that were encoded since it was last asked for."""

    def count() -> int:
        number = len(small_chunks)
        small_chunks.clear()
        return number

    return count


def write(config: DatasetPrepConfig, lines: list[str]) -> None:
    Path(config.data[0]).write_text("\n".join(lines) + "\n")


def expect(
    most_encoded: int,
    config: DatasetPrepConfig,
    prepared_files: Prepare,
    cold_files: Prepare,
    encoded: Callable[[], int],
) -> None:
    """Prepares; expects that few chunks are encoded and that the result is that of an empty store."""
    encoded()
    found = prepared_files(config)
    assert encoded() <= most_encoded
    assert found == cold_files(config)
    assert encoded() > 20


def test_appended_rows_cost_only_themselves(
    config: DatasetPrepConfig, prepared_files: Prepare, cold_files: Prepare, encoded: Callable[[], int]
) -> None:
    lines = rows(400)
    prepared_files(config)
    assert encoded() > 20
    for number, num_appended in enumerate((1, 3, 40), 1):
        lines += rows(num_appended, seed=number)
        write(config, lines)
        # The chunk that was the last one, and 40 rows in chunks of 4 rows at least.
        expect(1 + (num_appended + 3) // 4, config, prepared_files, cold_files, encoded)


def test_an_edited_an_inserted_and_a_removed_row_cost_two_chunks_at_most(
    config: DatasetPrepConfig, prepared_files: Prepare, cold_files: Prepare, encoded: Callable[[], int]
) -> None:
    prepared_files(config)
    for changed in (
        [*rows(400)[:201], rows(1, seed=5)[0], *rows(400)[202:]],
        [*rows(400)[:90], rows(1, seed=6)[0], *rows(400)[90:]],
        [*rows(400)[:300], *rows(400)[301:]],
        ["", *rows(400), "", ""],
    ):
        write(config, changed)
        expect(2, config, prepared_files, cold_files, encoded)


def test_a_chunk_that_comes_twice_is_encoded_once(
    config: DatasetPrepConfig, tmp_path: Path, prepared_files: Prepare, encoded: Callable[[], int]
) -> None:
    once = prepared_files(config)
    num_chunks = encoded()
    copy = tmp_path / "copy.jsonl"
    copy.write_text(Path(config.data[0]).read_text())
    twice = prepared_files(config.model_copy(update={"data": (*config.data, str(copy))}))
    assert encoded() == 0
    ledgers = [json.loads(files["ledger.json"]) for files in (once, twice)]
    assert ledgers[1]["rows_kept"] == 2 * ledgers[0]["rows_kept"] == 784
    assert ledgers[1]["tokens_in"] == 2 * ledgers[0]["tokens_in"]
    assert num_chunks > 20
    assert [json.loads(line)["file"] for line in twice["rejected.jsonl"].splitlines()] == (
        ["train.jsonl"] * 8 + ["copy.jsonl"] * 8
    )


def test_files_in_another_order_encode_nothing(
    config: DatasetPrepConfig,
    tmp_path: Path,
    prepared_files: Prepare,
    cold_files: Prepare,
    encoded: Callable[[], int],
) -> None:
    other = tmp_path / "other.json"
    other.write_text("[" + ",\n".join(rows(100, seed=3)) + "]")
    both = (*config.data, str(other))
    prepared_files(config.model_copy(update={"data": both}))
    expect(0, config.model_copy(update={"data": both[::-1]}), prepared_files, cold_files, encoded)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_shards": 3},
        {"max_seq_length": 100},
        {"max_seq_length": 64, "overlong": "split"},
        {"max_seq_length": 64, "overlong": "truncate"},
        {"eval_size": 0.1},
        {"eval_size": 0.1, "seed": 7},
        {"samples": 100},
        {"samples": 100, "seed": 7},
        {"samples": 100, "samples_from": "head"},
        {"max_rejected": 0.2},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_settings_of_packs_and_samples_encode_nothing(
    changes: dict[str, Any],
    config: DatasetPrepConfig,
    prepared_files: Prepare,
    cold_files: Prepare,
    encoded: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = prepared_files(config)
    encoded()
    num_shards = changes.get("num_shards", 2)
    changed = config.model_copy(
        update={name: value for name, value in changes.items() if name != "num_shards"}
    )
    phases: list[str] = []
    with monkeypatch.context() as patch:
        # Not even the tokenizer is read.
        patch.setattr("opensloth_core.store.tokens.remembered_setup", None)
        found = prepared_files(changed, num_shards, lambda phase, done, total: phases.append(phase))
    assert encoded() == 0
    assert set(phases) == {"pack", "write"}
    assert found == cold_files(changed, num_shards)
    assert encoded() > 0
    if "max_rejected" not in changes:
        assert found != before


def test_the_batch_size_and_all_else_of_training_are_no_part_of_preparing() -> None:
    values = {"data": "a", "model": "m"}
    large = OpenSlothConfig.of({**values, "training": {"batch_size": 64, "epochs": 9}, "dtype": "float32"})
    assert large.preparation == OpenSlothConfig.of(values).preparation


def test_what_is_trained_is_encoded_anew(
    config: DatasetPrepConfig, prepared_files: Prepare, cold_files: Prepare, encoded: Callable[[], int]
) -> None:
    prepared_files(config)
    num_chunks = encoded()
    changed = config.model_copy(update={"train_on": "all"})
    assert prepared_files(changed) == cold_files(changed)
    assert encoded() == 2 * num_chunks


def token_folders(home: Path) -> list[Path]:
    return sorted((home / "store" / "tokens").glob("*-*"), key=lambda path: path.stat().st_mtime_ns)


def test_tokens_that_were_borrowed_survive_their_lender(
    config: DatasetPrepConfig,
    home: Path,
    prepared_files: Prepare,
    cold_files: Prepare,
    encoded: Callable[[], int],
) -> None:
    prepared_files(config)
    write(config, [*rows(400), *rows(10, seed=1)])
    prepared_files(config)
    lender, _ = token_folders(home)
    shutil.rmtree(lender)
    changed = config.model_copy(update={"max_seq_length": 100})
    encoded()
    assert prepared_files(changed) == cold_files(changed)


def test_a_lender_that_was_damaged_and_made_again_lends_the_right_chunks(
    config: DatasetPrepConfig,
    home: Path,
    prepared_files: Prepare,
    cold_files: Prepare,
    encoded: Callable[[], int],
) -> None:
    """Its new file holds other chunks than the old one, of which others have links."""
    first = rows(400)
    second = [*first[:200], *rows(50, seed=1)]
    prepared_files(config)
    write(config, second)
    prepared_files(config)
    (lender,) = [folder for folder in token_folders(home) if len(list(folder.glob("*.arrow"))) == 1]
    next(lender.glob("*.arrow")).unlink()
    for lines in (first, second, [*first, *second[200:]]):
        write(config, lines)
        changed = config.model_copy(update={"max_seq_length": 120})
        assert prepared_files(changed) == cold_files(changed)


@pytest.mark.parametrize(
    "harm", ["delete a part", "truncate a part", "empty the chunks", "tear the manifest"]
)
def test_damaged_tokens_are_noticed_and_made_again(
    harm: str,
    config: DatasetPrepConfig,
    home: Path,
    prepared_files: Prepare,
    cold_files: Prepare,
    encoded: Callable[[], int],
) -> None:
    prepared_files(config)
    num_chunks = encoded()
    (folder,) = token_folders(home)
    part = next(folder.glob("*.arrow"))
    if harm == "delete a part":
        part.unlink()
    elif harm == "truncate a part":
        os.truncate(part, part.stat().st_size - 1)
    elif harm == "empty the chunks":
        (folder / "chunks.jsonl").write_text("")
    else:
        os.truncate(folder / "manifest.json", 100)
    changed = config.model_copy(update={"max_seq_length": 100})
    assert prepared_files(changed) == cold_files(changed)
    assert encoded() == 2 * num_chunks
    assert len(read_chunks(*token_folders(home))) >= num_chunks
    prepared_files(config.model_copy(update={"max_seq_length": 90}))
    assert encoded() == 0


def test_tokens_that_cannot_be_linked_are_copied(
    config: DatasetPrepConfig,
    prepared_files: Prepare,
    cold_files: Prepare,
    encoded: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    prepared_files(config)
    write(config, [*rows(400), *rows(3, seed=1)])
    monkeypatch.setattr(os, "link", refuse)
    expect(2, config, prepared_files, cold_files, encoded)
