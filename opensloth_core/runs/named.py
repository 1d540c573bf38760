"""The run that a person names."""

import re

from opensloth_core.checks.roots import is_confined
from opensloth_core.errors import ConfigError
from opensloth_core.expanded import expanded
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.listing import newest_first
from opensloth_core.store.home import home_dir

LAST = "last"
NAMES_SHOWN = 4
_ID = re.compile(r"[0-9a-f]{4}")


def named_run(which: str) -> RunDirectory:
    """The run that is meant.

    Args:
        which: a run's name, a beginning of it that no other has, the four characters at its end, its folder,
            or "last" for the one created last.

    Raises:
        ConfigError: no run is called so, or several begin so.
    """
    found = runs_called(which)
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{which}: {len(found)} runs are called so: {_names(found)}; give more of the name")
    runs = list(newest_first())
    if not runs:
        raise ConfigError(f"{which}: no such run in {home_dir() / 'runs'}, which has none yet")
    raise ConfigError(f"{which}: no such run in {home_dir() / 'runs'}{_meant(which, runs)}")


def runs_called(which: str) -> list[RunDirectory]:
    """The runs that may be meant, newest first; see `named_run`. A process that a server confines finds those
    of its home only.
    """
    if not which:  # every name begins so
        return []
    home, folder = home_dir() / "runs", RunDirectory(expanded(which).absolute())
    own = RunDirectory(home / which)
    if own.path.parent == home and own.config_path.is_file():
        return [own]
    # A model's folder has a config.json too.
    if not is_confined() and folder.config_path.is_file() and folder.events_path.is_file():
        return [folder]
    runs = list(newest_first())
    if which == LAST:
        return runs[:1]
    found = [run for run in runs if run.path.name.startswith(which)]
    if not found and _ID.fullmatch(which):
        found = [run for run in runs if run.path.name.endswith(f"-{which}")]
    return found


def _names(runs: list[RunDirectory]) -> str:
    more = f" and {len(runs) - NAMES_SHOWN} more" if len(runs) > NAMES_SHOWN else ""
    return ", ".join(run.path.name for run in runs[:NAMES_SHOWN]) + more


def _meant(which: str, runs: list[RunDirectory]) -> str:
    # Imported here: most names are spelt right.
    from difflib import get_close_matches

    names = [run.path.name for run in runs]
    # What was typed may be the beginning of a name, so names are compared as far as it goes.
    begun = {name[: len(which)].lower(): name for name in reversed(names)}
    close = get_close_matches(which.lower(), begun, n=1, cutoff=0.7)
    if close:
        return f"; did you mean {begun[close[0]]}?"
    return f"; the newest is {names[0]}. Give a name, how it begins or ends, its folder, or last"
