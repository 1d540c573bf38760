"""Digests of files and of named parts."""

import hashlib
from pathlib import Path

import pytest

from opensloth_core.errors import DataError
from opensloth_core.store.digest import CHUNK_BYTES, file_digest, parts_digest


def test_a_file_digest_is_blake2b_256_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # RFC 7693's algorithm with 32 bytes of output, as `b2sum -l 256` prints it.
    assert file_digest(path) == "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"


def test_a_file_of_several_chunks_counts_to_its_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = b"x" * (2 * CHUNK_BYTES) + b"y"
    path.write_bytes(content)
    assert file_digest(path) == hashlib.blake2b(content, digest_size=32).hexdigest()
    before = file_digest(path)
    path.write_bytes(content[:-1] + b"z")
    assert file_digest(path) != before


def test_a_missing_file_is_the_data_s_fault(tmp_path: Path) -> None:
    path = tmp_path / "none.jsonl"
    with pytest.raises(DataError) as caught:
        file_digest(path)
    assert str(caught.value) == f"{path}: no such file"


def test_a_folder_cannot_be_digested(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        file_digest(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory"


def test_the_order_of_parts_does_not_count() -> None:
    assert parts_digest({"a": "1", "b": "2"}) == parts_digest({"b": "2", "a": "1"})


def test_every_name_and_value_of_the_parts_counts() -> None:
    digests = {
        parts_digest(parts)
        for parts in (
            {"a": "1", "b": "2"},
            {"a": "2", "b": "1"},
            {"a": "1", "c": "2"},
            {"a": "1"},
            {"a": "1", "b": ""},
            {"a": '1", "b": "2'},
        )
    }
    assert len(digests) == 6
    assert {len(digest) for digest in digests} == {32}  # 128 bits in hex
