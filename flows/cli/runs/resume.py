"""`os-train runs resume`."""

import sys
from dataclasses import replace

from flows.cli.cache.answer import answered
from flows.cli.shown import Shown
from opensloth_core.errors import ConfigError
from opensloth_core.runs.history import read_outline
from opensloth_core.runs.named import named_run


def run_resume(which: str, allow_drift: bool, shown: Shown) -> int:
    """Go on with a run as its own training command would, and give the exit code."""
    return answered("os-train runs resume", lambda: _resume(which, allow_drift, shown), shown.as_json)


def _resume(which: str, allow_drift: bool, shown: Shown) -> int:
    from flows.cli.os_train import METHODS

    run = named_run(which)
    record = read_outline(run)
    if not record.settings:
        raise ConfigError(f"{run.config_path}: cannot be read; without its settings the run cannot go on")
    if not record.is_training:
        raise ConfigError(f"{run.path.name}: prepared data and trained nothing; there is nothing to resume")
    command = METHODS[record.method]
    given = {"resume": str(run.path), **({"allow_drift": True} if allow_drift else {})}
    request = replace(command.configure(given), shown=shown)
    if not shown.quiet:
        print(f"going on with {run.path.name}", file=sys.stderr)
    return command.run(request)
