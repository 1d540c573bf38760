"""All runs of a home."""

import json
from collections.abc import Iterator

from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.home import home_dir


def newest_first() -> Iterator[RunDirectory]:
    """All runs, by when they were created.

    Raises:
        StoreError: the home folder cannot be read.
    """
    folder = home_dir() / "runs"
    try:
        runs = [RunDirectory(path) for path in folder.glob("*")]
        dated = [(_created(run), run.path.name, run) for run in runs if run.config_path.is_file()]
    except OSError as err:
        raise StoreError(
            f"{folder}: cannot be read: {err.strerror}; set OPENSLOTH_HOME to a folder of yours"
        ) from err
    return (run for *_, run in sorted(dated, key=lambda entry: entry[:2], reverse=True))


def _created(run: RunDirectory) -> float:
    try:
        with run.events_path.open("rb") as lines:
            return float(json.loads(lines.readline())["time"])
    except (OSError, ValueError, KeyError):
        return 0.0
