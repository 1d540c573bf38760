"""Finds the run that a person means, and the one that was left unfinished."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, OpenSlothError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.lock import is_running
from opensloth_core.store.home import home_dir
from opensloth_core.training.checkpoint.made_with import SHAPE_NOTHING, all_settings

AUTO = "auto"
NAMES_SHOWN = 5


def find_resumable(which: str | Path, config: OpenSlothConfig | None = None) -> RunDirectory | None:
    """The run that is meant; None where "auto" finds none.

    Args:
        which: see `open_run`.
        config: for "auto" only.

    Raises:
        ConfigError: no such run, several, one that is completed, still running, or trains nothing.
    """
    if str(which) == AUTO:
        assert config is not None, "auto needs a configuration to compare with"
        return next((run for run in newest_first() if _is_unfinished(run, config)), None)
    run = _named(str(which))
    if not trains(run):
        raise ConfigError(
            f"run {run.path.name}: prepared data and trained nothing; there is nothing to resume"
        )
    if last_state(run) == "completed":
        raise ConfigError(
            f"run {run.path.name}: is completed, with its result in {run.adapter_dir}; "
            "to train on from that, give --init-from instead of --resume"
        )
    if is_running(run):
        raise ConfigError(f"run {run.path.name}: is still running; wait for it, or stop it first")
    return run


def last_state(run: RunDirectory) -> str | None:
    """The state of a run's last `state` event."""
    last = None
    try:
        with run.events_path.open("rb") as lines:
            for line in lines:
                # A long run has many lines; few are of this kind.
                if b'"kind": "state"' in line and line.endswith(b"\n"):
                    last = line
    except FileNotFoundError:
        return None
    return str(json.loads(last)["state"]) if last else None


def _named(which: str) -> RunDirectory:
    folder = Path(which).expanduser().absolute()
    for path in (folder, home_dir() / "runs" / which):
        if RunDirectory(path).config_path.is_file():
            return RunDirectory(path)
    runs = list(newest_first())
    found = [run for run in runs if run.path.name.startswith(which)]
    if len(found) == 1:
        return found[0]
    shown = ", ".join(run.path.name for run in (found or runs)[:NAMES_SHOWN]) or "there are none"
    if found:
        raise ConfigError(f"resume {which}: {len(found)} runs begin so; give more of its name: {shown}")
    raise ConfigError(
        f"resume {which}: no such run in {home_dir() / 'runs'}; the newest: {shown}. "
        "Give a run's name, its folder, or auto"
    )


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


def trains(run: RunDirectory) -> bool:
    """Whether a run trains a model, rather than prepare data alone."""
    return "finetuning_type" in json.loads(run.config_path.read_text())


def _is_unfinished(run: RunDirectory, config: OpenSlothConfig) -> bool:
    if not run.lock_path.exists():  # just created, by a command that has yet to begin
        return False
    try:
        if not trains(run) or _identity(run.config()) != _identity(config):
            return False
    except (OpenSlothError, OSError, ValueError):  # of a version that had other settings
        return False
    return last_state(run) != "completed" and not is_running(run)


def _identity(config: OpenSlothConfig) -> dict[str, Any]:
    """What makes two configurations the same for "auto"; other devices are a drift, which is said."""
    ignored = SHAPE_NOTHING | {"gpus", "data_output"}
    return {name: value for name, value in all_settings(config).items() if name not in ignored}
