"""Prepared data that a person names, to be trained on as it is: its sources may be gone or changed.

Only the manifest is read here, so that a command line can be checked without Arrow.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict

from opensloth_core.checks.roots import is_confined
from opensloth_core.errors import ConfigError
from opensloth_core.expanded import expanded
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.named import named_run, runs_called
from opensloth_core.store.artifact import (
    MANIFEST,
    FileName,
    FileRecord,
    Manifest,
    ManifestError,
    read_manifest,
)
from opensloth_core.store.home import home_dir

MAX_NAMED = 3


class GivenManifest(Manifest):
    """What the manifest of prepared data says of how it was made."""

    model_config = ConfigDict(extra="ignore")

    files: dict[FileName, FileRecord]
    key: str
    parts: dict[str, str]
    preparation: dict[str, Any]
    shards: tuple[FileName, ...]


@dataclass(frozen=True)
class GivenData:
    """Prepared data on disk."""

    folder: Path
    manifest: GivenManifest

    @property
    def is_copy(self) -> bool:
        """Whether it lies outside of the store."""
        return self.folder.resolve().parent != _store_dir().resolve()

    @property
    def reference(self) -> str:
        """How a configuration names it wherever it is run from: its key, of a copy its folder."""
        return str(self.folder) if self.is_copy else self.manifest.key


def given_data(called: str) -> GivenData:
    """Prepared data by any of its names, see `prepared_folder`.

    Raises:
        ConfigError: there is none, or its manifest is damaged.
    """
    if is_confined() and (os.sep in called or called in (".", "..")):
        raise ConfigError(f"prepared {called}: give a key; runs of a server read no other folders")
    folder = prepared_folder(called)
    try:
        return GivenData(folder, read_manifest(folder, GivenManifest))
    except ManifestError as err:
        raise ConfigError(f"prepared {called}: {folder}: {err}; prepare the data again") from err


def prepared_folder(called: str) -> Path:
    """The folder of prepared data.

    Args:
        called: its key or how that begins, its folder, a copy's, or a run that had it, see `named_run`.

    Raises:
        ConfigError: there is none, or several keys or runs begin so.
    """
    path = expanded(called)
    if path.name == MANIFEST:
        path = path.parent
    if path.is_dir() and not is_confined():
        if (path / MANIFEST).is_file():
            return path.absolute()
        if RunDirectory(path).launch_path.is_file():
            return _of_run(RunDirectory(path))
        raise ConfigError(f"{called}: is no folder of prepared data (it has no {MANIFEST})")
    if path.exists() and not is_confined():
        raise ConfigError(f"{called}: is a file; give a key or the folder of prepared data")
    if os.sep in called:
        raise ConfigError(f"{called}: no such folder; give a key or the folder of prepared data")
    found = [folder for folder in _newest_first() if folder.name.startswith(called.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{called}: {len(found)} keys begin so; give more of one: {_named(found)}")
    if runs_called(called):
        return _of_run(named_run(called))
    others = _newest_first()
    known = f"the newest keys: {_named(others)}" if others else "nothing is prepared yet"
    raise ConfigError(f"{called}: no prepared data has this key ({known})")


def _of_run(run: RunDirectory) -> Path:
    if not run.launch_path.is_file():
        raise ConfigError(f"{run.path.name}: this run had no prepared data; give another, or a key")
    # No more of it is read than that, since other versions had other fields.
    return _store_dir() / str(json.loads(run.launch_path.read_text())["prepared_key"])


def _store_dir() -> Path:
    return home_dir() / "store" / "prepared"


def _newest_first() -> list[Path]:
    store = _store_dir()
    folders = [path.parent for path in store.glob(f"[!.]*/{MANIFEST}")] if store.is_dir() else []
    return sorted(folders, key=lambda folder: -folder.stat().st_mtime_ns)


def _named(folders: list[Path]) -> str:
    others = f" and {len(folders) - MAX_NAMED} more" if len(folders) > MAX_NAMED else ""
    return ", ".join(folder.name[:12] for folder in folders[:MAX_NAMED]) + others
