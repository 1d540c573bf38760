"""Full, read-only and forbidden disks and clocks that jump: one clear error, nothing torn, and a way on.

The disks are real ones of a few pages, which need the right to mount.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.chunk import RawChunk
from opensloth_core.errors import StoreError
from opensloth_core.store.artifact import MANIFEST
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepare_worker import is_temporary
from opensloth_core.store.prepared import PreparedManifest, find_prepared, open_prepared, prepared_key
from opensloth_core.store.verify import verify

Prepare = Callable[..., dict[str, bytes]]

WAY_OUT = "make room, or set OPENSLOTH_HOME to a folder you can write"
NOBODY = 65534
YEAR_SECONDS = 365 * 24 * 3600


class Disk:
    """A file system of its own in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, *options: str) -> None:
        names = ["-o", ",".join(options)]
        command = ["mount", "-t", "tmpfs", *names, "tmpfs", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True)

    def remount(self, *options: str) -> None:
        subprocess.run(["mount", "-o", ",".join(("remount", *options)), str(self.folder)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def disk(config: DatasetPrepConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """The disk that the store is on."""
    disk = Disk(tmp_path / "disk")
    disk.folder.mkdir()
    try:
        disk.mount("size=16m")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount")
    try:
        monkeypatch.setenv("OPENSLOTH_HOME", str(disk.folder))
        yield disk
    finally:
        disk.unmount()


def ask(config: DatasetPrepConfig, num_shards: int = 2) -> tuple[PreparedManifest, bool]:
    key = prepared_key(config, Path(config.model), num_shards)
    return obtain(config, Path(config.model), num_shards, key)


def artifacts(home: Path) -> list[Path]:
    """Everything under a final name."""
    folders = [*(home / "store" / "prepared").glob("[!.]*"), *(home / "store" / "tokens").glob("[!.]*")]
    return [folder for folder in folders if folder.is_dir()]


def staged(home: Path) -> list[Path]:
    return list(home.glob("store/*/.staging-*"))


def write_rows(config: DatasetPrepConfig, num_rows: int) -> None:
    rows = [{"question": f"What is {n}?", "answer": f"It is {n}."} for n in range(num_rows)]
    Path(config.data[0]).write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_on_a_full_disk_nothing_torn_is_left_wherever_it_becomes_full(
    config: DatasetPrepConfig, disk: Disk, small_chunks: list[RawChunk], cold_files: Prepare
) -> None:
    """A disk that is larger by two pages each time: it is full at every stage in turn."""
    write_rows(config, 300)
    expected = cold_files(config)
    places = set()
    for size_bytes in range(8 << 10, 2 << 20, 8 << 10):
        disk.remount(f"size={size_bytes}")
        try:
            manifest, _ = ask(config)
        except StoreError as err:
            assert is_temporary(err)
            place, _, reason = str(err).partition(": ")
            assert reason.startswith(("cannot write the artifact store: ", "cannot be locked: ")), err
            assert "No space left on device; make room, or set OPENSLOTH_HOME to a folder" in reason
            places.add(Path(place).relative_to(disk.folder).parts[1])
            assert [verify(folder) for folder in artifacts(disk.folder)] in ([], [None])
            assert not staged(disk.folder)
        else:
            break
    assert places >= {"tokens", "prepared"}
    folder = disk.folder / "store" / "prepared" / manifest.key
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST} == expected


def test_a_full_disk_is_one_line_with_a_way_out(config: DatasetPrepConfig, disk: Disk) -> None:
    ask(config)
    (disk.folder / "ballast").write_bytes(bytes(os.statvfs(disk.folder).f_bavail * 4096))
    with pytest.raises(StoreError) as caught:
        ask(config, num_shards=3)
    place = disk.folder / "store" / "prepared"
    assert str(caught.value) == (
        f"{place}: cannot write the artifact store: No space left on device; {WAY_OUT}"
    )
    (disk.folder / "ballast").unlink()
    assert ask(config, num_shards=3)[1] is False


def test_a_read_only_store_is_still_found_and_says_so_when_it_must_be_written(
    config: DatasetPrepConfig, disk: Disk
) -> None:
    manifest, _ = ask(config)
    disk.remount("ro")
    assert ask(config) == (manifest, True)
    assert ask(config.model_copy(update={"verify": True})) == (manifest, True)
    with pytest.raises(StoreError) as caught:
        ask(config, num_shards=3)
    assert "Read-only file system; make room, or set OPENSLOTH_HOME to a folder" in str(caught.value)
    assert is_temporary(caught.value)
    disk.remount("rw")
    assert ask(config, num_shards=3)[1] is False


@pytest.fixture
def other_user(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that is somebody else's: `nobody` runs the test, and may reach the folder, which is root's."""
    if os.geteuid() != 0:
        pytest.skip("may not become another user")
    home = Path(tempfile.mkdtemp(prefix="opensloth-"))
    home.chmod(0o755)
    monkeypatch.setenv("OPENSLOTH_HOME", str(home))
    yield home
    os.seteuid(0)
    shutil.rmtree(home)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(0o755, "cannot be locked: Permission denied"), (0o700, "cannot be locked: Permission denied")],
    ids=["read only", "not even readable"],
)
def test_a_store_of_another_user_is_one_clear_error(
    mode: int, reason: str, config: DatasetPrepConfig, other_user: Path
) -> None:
    key = prepared_key(config, Path(config.model), 2)
    (other_user / "store").mkdir(mode=mode)
    (other_user / "store").chmod(mode)
    os.seteuid(NOBODY)
    with pytest.raises(StoreError) as caught:
        obtain(config, Path(config.model), 2, key)
    assert str(caught.value).startswith(f"{other_user}/store/locks/prepared-{key.digest}.lock: {reason}; ")


def test_an_artifact_that_may_not_be_read_is_damage_that_names_the_reason(
    config: DatasetPrepConfig, other_user: Path
) -> None:
    manifest, _ = ask(config)
    folder = other_user / "store" / "prepared" / manifest.key
    (folder / "units.arrow").chmod(0)
    os.seteuid(NOBODY)
    assert find_prepared(manifest.key) == (manifest, None)
    assert verify(folder) == "units.arrow cannot be read: Permission denied"
    os.seteuid(0)
    folder.chmod(0)
    os.seteuid(NOBODY)
    assert verify(folder) == f"{MANIFEST} cannot be read: Permission denied"
    with pytest.raises(StoreError, match=f"{MANIFEST} cannot be read: Permission denied; run the command"):
        open_prepared(manifest.key)


@pytest.mark.parametrize("jump_seconds", [10 * YEAR_SECONDS, -10 * YEAR_SECONDS], ids=["ahead", "back"])
def test_a_clock_that_jumps_breaks_nothing(
    jump_seconds: int,
    config: DatasetPrepConfig,
    home: Path,
    small_chunks: list[RawChunk],
    cold_files: Prepare,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files, manifests and staging that were written when the clock was another one."""
    write_rows(config, 300)
    with monkeypatch.context() as patch:
        then = time.time() + jump_seconds
        patch.setattr(time, "time", lambda: then)
        manifest, _ = ask(config)
    assert manifest.created == then
    for path in [Path(config.data[0]), *home.rglob("*")]:
        os.utime(path, (then, then))
    abandoned = home / "store" / "prepared" / ".staging-key-0123456789abcdef"
    abandoned.mkdir()
    os.utime(abandoned, (then, then))
    assert ask(config) == (manifest, True)

    # An edit that the clock puts at the very moment of the file before it.
    text = Path(config.data[0]).read_text()
    Path(config.data[0]).write_text(text.replace("It is 250.", "It is 251."))
    os.utime(config.data[0], (then, then))
    num_chunks = len(small_chunks)
    small_chunks.clear()
    again, was_there = ask(config)
    assert not was_there and again.key != manifest.key
    assert 0 < len(small_chunks) <= 2 < num_chunks  # the others were lent
    assert not abandoned.exists()
    folder = home / "store" / "prepared" / again.key
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
    assert files == cold_files(config)
