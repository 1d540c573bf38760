"""Damage is found, by size always and by content where that is asked for; then the data is made again."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.chunk import RawChunk
from opensloth_core.store.artifact import MANIFEST
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepared import find_prepared, prepared_dir, prepared_key
from opensloth_core.store.single_flight import Asker
from opensloth_core.store.tokens import find_tokens
from opensloth_core.store.verify import verify

Files = dict[str, bytes]
Prepare = Callable[..., Files]
SHARD = "shard-00001-of-00002.arrow"


def flip_a_bit(path: Path, place: int | None = None) -> None:
    """As a bad disk would: another byte, and nothing else of the file changes."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 4
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def ask(config: DatasetPrepConfig, num_shards: int = 2) -> tuple[Path, bool, list[str]]:
    """The folder of the prepared data, whether it was there, and what was said."""
    said: list[str] = []
    key = prepared_key(config, Path(config.model), num_shards)
    manifest, was_there = obtain(
        config, Path(config.model), num_shards, key, asker=Asker("a test", said.append)
    )
    return prepared_dir(manifest.key), was_there, said


def files_of(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}


def token_folders(home: Path) -> list[Path]:
    return sorted((home / "store" / "tokens").glob("*-*"), key=lambda path: path.stat().st_mtime_ns)


def verifying(config: DatasetPrepConfig) -> DatasetPrepConfig:
    return config.model_copy(update={"verify": True})


def append_rows(config: DatasetPrepConfig, num_rows: int) -> None:
    with Path(config.data[0]).open("a") as file:
        for number in range(num_rows):
            file.write(json.dumps({"question": f"And {number}?", "answer": f"Then {number}."}) + "\n")


def test_whole_artifacts_of_both_kinds_are_verified(config: DatasetPrepConfig, home: Path) -> None:
    folder, _, _ = ask(config)
    assert verify(folder) is None
    assert [verify(folder) for folder in token_folders(home)] == [None]


def test_one_bit_of_any_file_of_either_kind_is_found(config: DatasetPrepConfig, home: Path) -> None:
    prepared, _, _ = ask(config)
    (tokens,) = token_folders(home)
    paths = [path for folder in (prepared, tokens) for path in folder.iterdir() if path.stat().st_size]
    assert len(paths) == 6 + 3  # rejected.jsonl is empty
    for path in paths:
        whole = path.read_bytes()
        flip_a_bit(path)
        problem = verify(path.parent)
        assert problem is not None and problem.startswith(path.name), path
        path.write_bytes(whole)
        assert verify(path.parent) is None


def test_what_is_wrong_is_told_with_both_digests(config: DatasetPrepConfig) -> None:
    folder, _, _ = ask(config)
    (folder / "rejected.jsonl").write_text("")
    ledger = json.loads((folder / MANIFEST).read_text())["files"]["ledger.json"]["blake2b"]
    text = (folder / "ledger.json").read_text()
    (folder / "ledger.json").write_text(text.replace("30", "31"))
    problem = verify(folder)
    assert problem is not None
    assert problem.startswith("ledger.json has changed since it was written: its digest is ")
    assert problem.endswith(f"…, should be {ledger[:12]}…")


def test_a_flipped_bit_is_found_where_verifying_is_asked_for(config: DatasetPrepConfig, home: Path) -> None:
    folder, _, _ = ask(config)
    whole = files_of(folder)
    flip_a_bit(folder / SHARD)
    # Its size is what it should be, which is all that is looked at otherwise.
    assert ask(config)[1:] == (True, [])
    assert find_prepared(folder.name)[0] is not None
    assert find_prepared(folder.name, in_full=True)[0] is None

    _, was_there, said = ask(verifying(config))
    assert not was_there
    (line,) = said
    assert line.startswith(f"{folder}: {SHARD} has changed since it was written: its digest is ")
    assert line.endswith("; preparing it again")
    assert files_of(folder) == whole
    assert ask(verifying(config))[1:] == (True, [])


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("delete", f"{SHARD} is missing"),
        ("truncate", f"{SHARD} has 0 bytes, should have "),
        ("half", f"{MANIFEST} is missing"),
    ],
)
def test_other_damage_is_found_without_asking_and_said(
    config: DatasetPrepConfig, harm: str, problem: str
) -> None:
    folder, _, _ = ask(config)
    whole = files_of(folder)
    if harm == "delete":
        (folder / SHARD).unlink()
    elif harm == "truncate":
        os.truncate(folder / SHARD, 0)
    else:  # a copy that broke off
        (folder / MANIFEST).unlink()
        (folder / SHARD).unlink()
    _, was_there, said = ask(config)
    assert not was_there
    (line,) = said
    assert line.startswith(f"{folder}: {problem}") and line.endswith("; preparing it again")
    assert files_of(folder) == whole


def test_tokens_with_a_flipped_bit_are_tokenized_again_where_verifying_is_asked_for(
    config: DatasetPrepConfig, home: Path, small_chunks: list[RawChunk], cold_files: Prepare
) -> None:
    ask(config)
    (folder,) = token_folders(home)
    flip_a_bit(next(folder.glob("*.arrow")))
    small_chunks.clear()
    config = verifying(config)
    prepared, _, said = ask(config, num_shards=1)
    (line,) = said
    assert line.startswith(f"{folder}: part-") and line.endswith("; tokenizing it again")
    assert "has changed since it was written" in line
    assert len(small_chunks) > 0
    assert files_of(prepared) == cold_files(config, num_shards=1)
    assert verify(folder) is None


@pytest.mark.parametrize("harm", ["no Arrow file", "no JSON"])
def test_tokens_that_cannot_even_be_read_are_tokenized_again_without_asking(
    harm: str, config: DatasetPrepConfig, home: Path, cold_files: Prepare
) -> None:
    ask(config)
    (folder,) = token_folders(home)
    if harm == "no Arrow file":
        path = next(folder.glob("*.arrow"))
        path.write_bytes(bytes(16) + path.read_bytes()[16:])
    else:
        path = folder / "chunks.jsonl"
        path.write_text(path.read_text().replace("{", "[", 1))
    prepared, _, said = ask(config, num_shards=1)
    (line,) = said
    assert line.startswith(f"{folder}: cannot be read: ") and line.endswith("; tokenizing it again")
    assert files_of(prepared) == cold_files(config, num_shards=1)


def test_rebuilding_never_writes_into_files_that_others_share(
    config: DatasetPrepConfig, home: Path, small_chunks: list[RawChunk]
) -> None:
    ask(config)
    append_rows(config, 5)
    ask(config)
    lender, borrower = token_folders(home)
    (part,) = lender.glob("*.arrow")
    shared = borrower / part.name
    assert shared.samefile(part)
    before = files_of(borrower)

    os.truncate(lender / "chunks.jsonl", 10)
    text = Path(config.data[0]).read_text()
    Path(config.data[0]).write_text("".join(text.splitlines(keepends=True)[:30]))
    ask(config.model_copy(update={"max_seq_length": 100}))
    assert verify(lender) is None
    assert files_of(borrower) == before
    assert verify(borrower) is None


def test_a_lender_that_is_damaged_lends_nothing_where_verifying_is_asked_for(
    config: DatasetPrepConfig, home: Path, small_chunks: list[RawChunk], cold_files: Prepare
) -> None:
    ask(config)
    num_chunks = len(small_chunks)
    (lender,) = token_folders(home)
    part = next(lender.glob("*.arrow"))
    flip_a_bit(part)
    append_rows(config, 5)
    small_chunks.clear()
    prepared, _, _ = ask(verifying(config))
    assert len(small_chunks) >= num_chunks
    assert files_of(prepared) == cold_files(config)
    _, borrower = token_folders(home)
    assert not (borrower / part.name).exists()
    assert verify(borrower) is None


def test_a_file_that_two_share_and_a_bit_flips_in_is_damage_of_both(
    config: DatasetPrepConfig, home: Path, small_chunks: list[RawChunk], cold_files: Prepare
) -> None:
    ask(config)
    append_rows(config, 5)
    ask(config)
    lender, borrower = token_folders(home)
    flip_a_bit(next(lender.glob("*.arrow")))
    assert verify(lender) is not None and verify(borrower) is not None
    prepared, _, said = ask(verifying(config), num_shards=1)
    assert len(said) == 1 and said[0].startswith(f"{borrower}: part-")
    assert files_of(prepared) == cold_files(config, num_shards=1)
    assert verify(borrower) is None
    assert verify(lender) is not None  # nobody has asked for these tokens


def test_tokens_under_the_key_of_others_are_not_taken_for_theirs(
    config: DatasetPrepConfig, home: Path
) -> None:
    ask(config)
    (folder,) = token_folders(home)
    other = folder.with_name(folder.name.replace("-", "-0"))
    shutil.copytree(folder, other)
    assert find_tokens(other.name) == (None, f"its manifest is that of {folder.name}")


def test_folders_that_cannot_be_artifacts_are_told(tmp_path: Path) -> None:
    assert verify(tmp_path) == f"{MANIFEST} is missing"
    for text in ("", "[]", "null", "{", '{"files": 1}', "\0", "[" * 100_000):
        (tmp_path / MANIFEST).write_text(text)
        problem = verify(tmp_path)
        assert problem is not None and problem.startswith(f"{MANIFEST} is damaged, or of another version: ")
