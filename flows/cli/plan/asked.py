"""`--dry-run`: that a plan is asked for instead of a run."""

from collections.abc import Mapping
from typing import Any

from flows.cli.shown import OutputSettings, Shown
from opensloth_core.errors import ConfigError


class DryRunSettings(OutputSettings):
    """Whether a training command only tells what it would do."""

    dry_run: bool = False
    """Say what the run would do, take and find wrong, and do none of it, as os-train plan does; exit code 0
    if it would run. Takes --verbose and --json."""


def split_dry_run(given: Mapping[str, Any], shown: Shown) -> tuple[Shown | None, dict[str, Any]]:
    """How the plan is printed that is asked for instead of a run, and all other flags; None to run.

    Args:
        given: without the flags that say how it is shown.

    Raises:
        ConfigError: a flag is given that a plan has no use for.
    """
    rest = {name: value for name, value in given.items() if name != "dry_run"}
    if not DryRunSettings.of({"dry_run": given.get("dry_run", False)}).dry_run:
        return None, rest
    for name in ("remote", "tmux", "quiet"):
        if rest.get(name) or (name == "quiet" and shown.quiet):
            raise ConfigError(f"dry_run: tells what this command would do here, at once; drop --{name}")
    if rest.get("resume") is not None:
        raise ConfigError("dry_run: tells what a new run would do; os-train runs show tells of one to resume")
    return shown, rest
