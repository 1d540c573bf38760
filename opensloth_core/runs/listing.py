"""All runs of a home."""

import json
from collections.abc import Iterator

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.home import home_dir


def newest_first() -> Iterator[RunDirectory]:
    """All runs, by when they were created."""
    runs = [RunDirectory(path) for path in (home_dir() / "runs").glob("*")]
    dated = [(_created(run), run.path.name, run) for run in runs if run.config_path.is_file()]
    return (run for *_, run in sorted(dated, key=lambda entry: entry[:2], reverse=True))


def _created(run: RunDirectory) -> float:
    try:
        with run.events_path.open("rb") as lines:
            return float(json.loads(lines.readline())["time"])
    except (OSError, ValueError, KeyError):
        return 0.0
