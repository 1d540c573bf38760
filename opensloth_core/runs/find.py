"""Finds the run that a person means, and the one that was left unfinished."""

import json
from pathlib import Path
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, ModelError, OpenSlothError
from opensloth_core.runs.absolute_paths import with_absolute_paths
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.listing import newest_first
from opensloth_core.runs.lock import is_running, is_starting
from opensloth_core.runs.named import LAST, named_run
from opensloth_core.store.home import home_dir
from opensloth_core.training.checkpoint.made_with import SHAPE_NOTHING, all_settings

AUTO = "auto"


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
    try:
        run = named_run(str(which))
    except ConfigError as err:
        raise ConfigError(f"resume {err}") from None
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


def run_that_trained(which: str) -> RunDirectory:
    """The run that is meant, of those that train.

    Args:
        which: see `named_run`; "last" is the newest of them.

    Raises:
        ConfigError: no run is called so, or several begin so.
        ModelError: it prepared data alone, or none has trained anything.
    """
    if which != LAST:
        run = named_run(which)
        if not trains(run):
            raise ModelError(f"{run.path.name}: prepared data and trained nothing; give a run that trains")
        return run
    found = next((run for run in newest_first() if trains(run)), None)
    if found is None:
        raise ModelError(f"{LAST}: no such run in {home_dir() / 'runs'}, where none has trained anything yet")
    return found


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


def trains(run: RunDirectory) -> bool:
    """Whether a run trains a model, rather than prepare data alone.

    Raises:
        ConfigError: its record is damaged.
    """
    try:
        return "finetuning_type" in json.loads(run.config_path.read_text())
    except ValueError as err:
        raise ConfigError(f"{run.config_path}: cannot be read: {err}") from err


def _is_unfinished(run: RunDirectory, config: OpenSlothConfig) -> bool:
    if is_starting(run):  # by a command that has yet to begin
        return False
    try:
        if not trains(run) or _identity(run.config()) != _identity(with_absolute_paths(config)):
            return False
    except (OpenSlothError, OSError, ValueError):  # of a version that had other settings
        return False
    return last_state(run) != "completed" and not is_running(run)


def _identity(config: OpenSlothConfig) -> dict[str, Any]:
    """What makes two configurations the same for "auto"; other devices are a drift, which is said."""
    ignored = SHAPE_NOTHING | {"gpus", "data_output"}
    return {name: value for name, value in all_settings(config).items() if name not in ignored}
