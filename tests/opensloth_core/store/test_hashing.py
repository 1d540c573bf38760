"""Hashing says how far it is where it takes long, and nothing where it does not."""

import hashlib
from pathlib import Path

import pytest

from opensloth_core.data import throttle
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.store.hashing import Hashing

Report = tuple[str, int, int | None]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Two files of 1.5 MiB and 0.5 MiB, which are read in pieces of one."""
    row = b'{"text": "' + b"a" * (2**19 - 13) + b'"}\n'
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, count in zip(paths, (3, 1), strict=True):
        path.write_bytes(row * count)
    return paths


def hashed(paths: list[Path]) -> tuple[list[str], list[Report]]:
    reports: list[Report] = []
    files = find_inputs([str(path) for path in paths], None)
    hashing = Hashing(files, lambda phase, done, total: reports.append((phase, done, total)))
    return [hashing(path) for path in paths], reports


def test_digests_are_those_of_the_bytes_and_quick_work_is_not_told(home: Path, paths: list[Path]) -> None:
    digests, reports = hashed(paths)
    assert digests == [hashlib.blake2b(path.read_bytes(), digest_size=32).hexdigest() for path in paths]
    assert reports == []


def test_slow_work_is_told_by_bytes_of_all_files(
    home: Path, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_QUICK_SECONDS", 0.0)
    monkeypatch.setattr(throttle, "_MIN_SECONDS", 0.0)
    mebibyte = 2**20
    total = 2 * mebibyte
    sizes = [("hash", done, total) for done in (mebibyte, 3 * mebibyte // 2, total)]
    assert hashed(paths)[1] == sizes
