"""Removes runs: never one that goes on, nor one that something else begins with.

A run is renamed away before its files are deleted, so that a kill half way leaves no half of a run:

    <home>/runs/.removed/<name>-<id>/       what a killed removal left; the next one deletes it
"""

import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.expanded import expanded
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.listing import newest_first
from opensloth_core.runs.lock import is_running, is_starting
from opensloth_core.store.file_lock import lock_file
from opensloth_core.store.home import home_dir

_TRASH = ".removed"
_STARTS = ("model", "pretrained_lora", "model_dir", "adapter_dir", "tokenizer_dir", "base_model")
"""Fields of `config.json` and `launch.json` that name what a run starts from."""


@dataclass(frozen=True)
class Removable:
    """A run that was asked to go."""

    run: RunDirectory
    size_bytes: int
    """What goes with it; files that have another name elsewhere are not counted."""

    spared: str | None
    """Why it stays; None where it may go."""


def removable(runs: Collection[RunDirectory]) -> list[Removable]:
    """What would become of each run if they were all removed."""
    going = {run.path.resolve() for run in runs}
    return [Removable(run, size_bytes(run.path), reason_to_keep(run, going)) for run in runs]


def reason_to_keep(run: RunDirectory, going: Collection[Path] = ()) -> str | None:
    """Why a run must stay, in words, or None.

    Args:
        going: folders of runs that go with it, whose references do not count.
    """
    if is_running(run):
        return "it is running; stop it first"
    if run.path.is_symlink() or run.path.parent.resolve() != (home_dir() / "runs").resolve():
        return f"it is not a folder of {home_dir() / 'runs'}; remove it by hand"
    if is_starting(run):
        return "it is just starting"
    if name := _user(run.path.resolve(), going):
        return f"{name} starts from it"
    if link := _link(run.path.resolve()):
        return f"{link} points to it"
    return None


def remove_run(run: RunDirectory, going: Collection[Path] = ()) -> None:
    """Remove a run.

    Raises:
        ConfigError: it has to stay by now, see `reason_to_keep`.
        StoreError: it cannot be removed.
    """
    try:
        if reason := reason_to_keep(run, going):
            raise ConfigError(f"{run.path.name}: {reason}")
        # Held so that nobody takes it up while it goes.
        lock = lock_file(run.lock_path, wait=False)
        if lock is None:
            raise ConfigError(f"{run.path.name}: it is running; stop it first")
        try:
            trash = run.path.parent / _TRASH
            trash.mkdir(exist_ok=True)
            away = trash / f"{run.path.name}-{secrets.token_hex(4)}"
            run.path.rename(away)
        finally:
            os.close(lock)
        _empty(trash)
    except OSError as err:
        raise StoreError(
            f"{err.filename or run.path}: cannot be removed: {err.strerror}; "
            "do it as a user who may write there"
        ) from err


def size_bytes(folder: Path) -> int:
    """Bytes of the files in a folder that have no other name."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                status = Path(parent, name).lstat()
            except FileNotFoundError:
                continue
            total += status.st_size if status.st_nlink == 1 else 0
    return total


def _empty(trash: Path) -> None:
    for left in trash.iterdir():
        shutil.rmtree(left)
    trash.rmdir()


def _user(folder: Path, going: Collection[Path]) -> str | None:
    """The run that starts from what is in a run's folder."""
    for other in newest_first():
        own = other.path.resolve()
        if own == folder or own in going:
            continue
        if any(_is_in(place, folder) for place in starts_of(other)):
            return f"run {other.path.name}"
    return None


def starts_of(run: RunDirectory) -> set[str]:
    """What a run starts from, as its records name it: folders, or names of models."""
    return {
        str(record[name])
        for record in (_json(run.config_path), _json(run.launch_path))
        for name in _STARTS
        if record.get(name)
    }


def _link(folder: Path) -> Path | None:
    """A link of the home, such as the `current` model, that leads into a folder."""
    home = home_dir()
    return next((path for path in _links(home, 3) if _is_in(str(path), folder)), None)


def _links(folder: Path, depth: int) -> Iterator[Path]:
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_symlink():
            yield path
        elif depth > 1 and path.is_dir() and path.name not in ("runs", "store"):
            yield from _links(path, depth - 1)


def _is_in(place: str, folder: Path) -> bool:
    try:
        return expanded(place).resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # a name that is no path, or links that go round
        return False


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
