"""What killed processes and removed data leave is found, and nothing that is still of use."""

import os
import time
from pathlib import Path

import pytest

from opensloth_core.store.artifact import staging
from opensloth_core.store.leftovers import Leftover, find_leftovers, forget_results, remove_leftovers
from opensloth_core.store.prepared import prepared_dir

KEY, OTHER = "0" * 32, "f" * 32
HOUR = 3600.0


def age(path: Path, hours: float) -> Path:
    os.utime(path, (time.time() - hours * HOUR,) * 2)
    return path


def results(home: Path, key: str, hours: float) -> list[Path]:
    paths = [home / "store" / name / key for name in ("records", "results")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
        age(path, hours)
    return paths


def found(*keys: str) -> list[str]:
    return sorted(leftover.path.name for leftover in find_leftovers(keys))


def test_staging_of_a_killed_process_is_found_and_that_of_a_living_one_is_not(home: Path) -> None:
    with staging(prepared_dir(KEY)) as living:
        (living / "shard").write_bytes(b"x" * 50)
        killed = living.parent / ".staging-dead-0123456789abcdef"
        killed.mkdir()
        (killed / "shard").write_bytes(b"x" * 70)
        killed.with_name(f"{killed.name}.lock").touch()
        (leftover,) = find_leftovers(())
        assert (leftover.path, leftover.size_bytes) == (killed, 70)
        remove_leftovers([leftover])
        assert living.is_dir() and not killed.exists()
        assert [path.name for path in living.parent.iterdir() if "dead" in path.name] == []


def test_staging_that_came_to_life_meanwhile_stays(home: Path) -> None:
    with staging(prepared_dir(KEY)) as living:
        assert find_leftovers(()) == []
        remove_leftovers([Leftover(living, "begun", 0)])
        assert living.is_dir()


def test_results_of_data_that_is_gone_are_found_once_they_are_an_hour_old(home: Path) -> None:
    results(home, KEY, hours=2)
    results(home, OTHER, hours=2)
    results(home, "a" * 32, hours=0.5)
    stranger = home / "store" / "results" / "README"
    stranger.touch()
    age(stranger, 50)
    assert found(KEY) == [OTHER, OTHER]
    remove_leftovers(find_leftovers({KEY}))
    assert found(KEY) == []
    assert sorted(path.name for path in (home / "store" / "records").iterdir()) == [KEY, "a" * 32]


def test_results_of_removed_data_are_forgotten_at_once(home: Path) -> None:
    paths = results(home, KEY, hours=0)
    forget_results([KEY, OTHER])
    assert not any(path.exists() for path in paths)


def test_models_that_were_never_finished_are_found_after_hours(home: Path) -> None:
    models = home / "models"
    for name, hours in {
        f".merged-{KEY}-{OTHER}": 7.0,
        f".SmolLM2-{OTHER}": 1.0,
        "SmolLM2": 9.0,
        ".cache": 9.0,
    }.items():
        (models / name).mkdir(parents=True)
        age(models / name, hours)
    assert found() == [f".merged-{KEY}-{OTHER}"]


@pytest.mark.parametrize("place", ["store/prepared", "store/tokens", "models"])
def test_what_a_killed_collection_had_set_aside_is_found(place: str, home: Path) -> None:
    folder = home / place / ".staging-0123-0123456789abcdef"
    folder.mkdir(parents=True)
    assert found() == [folder.name]
    remove_leftovers(find_leftovers(()))
    assert not folder.exists()
