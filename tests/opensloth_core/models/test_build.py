"""Folders that are built once, whole, by whoever comes first."""

import os
from pathlib import Path

import pytest

from opensloth_core.models import build
from opensloth_core.models.build import built_once


def write(text: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)


def test_the_second_call_builds_nothing(tmp_path: Path) -> None:
    target = tmp_path / "models" / "m"
    assert built_once(target, lambda folder: write("first", folder)) == target
    built_once(target, lambda folder: write("second", folder))
    assert (target / "config.json").read_text() == "first"
    assert list(target.parent.iterdir()) == [target]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail_half_way(folder: Path) -> None:
        write("half", folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        built_once(tmp_path / "m", fail_half_way)
    assert list(tmp_path.iterdir()) == []


def test_the_builder_that_lost_the_race_uses_the_winner_s_folder(tmp_path: Path) -> None:
    target = tmp_path / "m"

    def lose_race(folder: Path) -> None:
        write("loser", folder)
        target.mkdir()
        write("winner", target)

    built_once(target, lose_race)
    assert (target / "config.json").read_text() == "winner"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_build_left_is_removed_and_a_living_build_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, living = tmp_path / ".m-killed", tmp_path / ".m-living"
    killed.mkdir()
    living.mkdir()
    seven_hours_from_now = killed.stat().st_mtime + 7 * 3600
    monkeypatch.setattr(build.time, "time", lambda: seven_hours_from_now)
    os.utime(living, (seven_hours_from_now - 60, seven_hours_from_now - 60))
    built_once(tmp_path / "m", lambda folder: write("new", folder))
    assert not killed.exists()
    assert living.exists()
