"""Whether a folder that results are exported to is that of a run which goes on."""

import itertools
import json
from pathlib import Path

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import ConfigError
from opensloth_core.runs.abandoned import FINAL
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.history import read_outline, state_of
from opensloth_core.runs.listing import newest_first

_OUTPUTS = ("output", "data_output")


def check_unclaimed(config: DatasetPrepConfig, own: RunDirectory | None) -> None:
    """Refuse an output folder that an earlier run is going to fill: the later one would fail at its very end.

    Args:
        own: the run of this configuration, where there is one; runs that began after it give way to it.

    Raises:
        ConfigError: which folder, and which run.
    """
    wanted = {name: folder.resolve() for name in _OUTPUTS if (folder := getattr(config, name, None))}
    if not wanted:
        return
    runs = newest_first()
    if own is not None:
        runs = itertools.dropwhile(lambda run: run.path.name != own.path.name, runs)
        next(runs, None)
    for run in runs:
        taken = _folders(run)
        for name, folder in wanted.items():
            if folder in taken and state_of(run, read_outline(run)) not in FINAL:
                raise ConfigError(
                    f"{name} {folder}: run {run.path.name} goes on and will put its result there; "
                    "give another folder"
                )


def _folders(run: RunDirectory) -> set[Path]:
    try:
        record = json.loads(run.config_path.read_text())
    except (OSError, ValueError):  # removed meanwhile, or half of a record
        return set()
    return {Path(record[name]).resolve() for name in _OUTPUTS if record.get(name)}
