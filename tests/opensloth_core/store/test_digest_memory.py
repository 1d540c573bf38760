"""When a digest may be remembered, and that nothing else than an unchanged file finds it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.errors import DataError
from opensloth_core.store.digest import file_digest
from opensloth_core.store.digest_memory import GRAIN_SECONDS, remembered_digest


class Hasher:
    """Hashes for real, and counts."""

    def __init__(self, meanwhile: Callable[[Path], None] = lambda path: None) -> None:
        self.num_calls = 0
        self._meanwhile = meanwhile

    def __call__(self, path: Path) -> str:
        self.num_calls += 1
        digest = file_digest(path)
        self._meanwhile(path)
        return digest


@pytest.fixture(scope="module")
def old_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Files that were last changed longer ago than the clock's grain."""
    folder = tmp_path_factory.mktemp("old")
    paths = [folder / f"{number}.jsonl" for number in range(8)]
    for path in paths:
        path.write_text(f'{{"name": "{path.name}"}}\n')
    time.sleep(GRAIN_SECONDS + 0.1)
    return paths


@pytest.fixture
def old(old_files: list[Path], home: Path) -> Path:
    """One of them, for this test alone, and an empty home."""
    return old_files.pop()


def memories(home: Path) -> list[Path]:
    return list((home / "store" / "digests").iterdir())


def test_an_unchanged_file_is_hashed_once(old: Path) -> None:
    hasher = Hasher()
    assert [remembered_digest(old, hasher) for _ in range(3)] == [file_digest(old)] * 3
    assert hasher.num_calls == 1


def test_an_edit_of_the_same_size_with_the_time_put_back_is_noticed(old: Path) -> None:
    hasher = Hasher()
    before = remembered_digest(old, hasher)
    status = old.stat()
    content = old.read_bytes().replace(b"name", b"NAME")
    old.write_bytes(content)
    os.utime(old, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (old.stat().st_size, old.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    after = remembered_digest(old, hasher)
    assert after == file_digest(old) != before
    assert hasher.num_calls == 2


def test_a_file_changed_just_now_is_not_remembered_whatever_its_time_says(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "new"
    path.write_text("a")
    os.utime(path, (0, 0))
    hasher = Hasher()
    remembered_digest(path, hasher)
    remembered_digest(path, hasher)
    assert hasher.num_calls == 2
    assert not (home / "store").exists()


def test_a_file_with_a_time_in_the_future_is_not_remembered(old: Path) -> None:
    future = time.time() + 3600
    os.utime(old, (future, future))
    hasher = Hasher()
    remembered_digest(old, hasher)
    remembered_digest(old, hasher)
    assert hasher.num_calls == 2


def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(old: Path, home: Path) -> None:
    hasher = Hasher(meanwhile=lambda path: path.touch())
    remembered_digest(old, hasher)
    assert not (home / "store").exists()


def test_a_file_put_in_the_place_of_another_is_hashed(old: Path, tmp_path: Path) -> None:
    hasher = Hasher()
    first = remembered_digest(old, hasher)
    other = tmp_path / "other"
    other.write_bytes(old.read_bytes().replace(b"name", b"NAME"))
    os.utime(other, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    other.replace(old)
    assert remembered_digest(old, hasher) != first
    assert hasher.num_calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: b"[" * 100_000,
        lambda content: b"\xff\xfe",
        lambda content: b"3",
        lambda content: content.replace(b'"digest": "', b'"digest": "0')[:-3],
        lambda content: content.replace(content[12:14], b"zz", 1),
    ],
)
def test_a_damaged_memory_is_a_forgotten_one(
    old_stdlib_file: Path, home: Path, damage: Callable[[bytes], bytes]
) -> None:
    hasher = Hasher()
    remembered_digest(old_stdlib_file, hasher)
    (memory,) = memories(home)
    memory.write_bytes(damage(memory.read_bytes()))
    assert remembered_digest(old_stdlib_file, hasher) == file_digest(old_stdlib_file)
    assert hasher.num_calls == 2
    assert remembered_digest(old_stdlib_file, hasher) == file_digest(old_stdlib_file)
    assert hasher.num_calls == 2


@pytest.fixture
def old_stdlib_file(home: Path) -> Path:
    """A file that was installed with Python."""
    return Path(os.__file__)


def test_a_home_that_cannot_be_written_is_no_error(old_stdlib_file: Path, home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file where the folder should be")
    assert remembered_digest(old_stdlib_file) == file_digest(old_stdlib_file)


def test_a_missing_file_is_one_clear_line(tmp_path: Path, home: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: no such file$"):
        remembered_digest(tmp_path / "none.jsonl")
