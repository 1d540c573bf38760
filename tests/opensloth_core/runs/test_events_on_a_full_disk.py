"""Events that cannot be written are one clear error, and what is written later is read."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opensloth_core.errors import StoreError
from opensloth_core.runs.events import EventLog, read_events

WAY_OUT = "make room, or set OPENSLOTH_HOME to a folder you can write"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two pages."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_names_the_log_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.symlink_to("/dev/full")
    with pytest.raises(StoreError) as caught:
        EventLog(path).message("hello")
    assert str(caught.value) == f"{path}: cannot be written: No space left on device; {WAY_OUT}"


def test_a_log_that_is_a_folder_names_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        EventLog(tmp_path).message("hello")
    assert str(caught.value) == f"{tmp_path}: cannot be written: Is a directory; {WAY_OUT}"


def test_a_line_there_was_half_room_for_is_lost_and_the_next_one_is_not(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(4096))
    log = EventLog(disk / "events.jsonl")
    log.message("first")
    with pytest.raises(StoreError, match="No space left on device"):
        log.message("x" * 5000)
    assert log.path.stat().st_size == 4096  # the page is full
    with pytest.raises(StoreError, match="No space left on device"):
        log.message("still full")
    ballast.unlink()
    log.state("failed", "the disk was full")
    kinds = [(event["kind"], event.get("text") or event.get("message")) for event in read_events(log.path)]
    assert kinds == [("message", "first"), ("state", "the disk was full")]
