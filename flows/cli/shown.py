"""`--quiet`, `--verbose` and `--json`: how much of what a command does is shown, and to whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opensloth_core.config.base import Settings
from opensloth_core.errors import ConfigError

SHOWN_FLAGS = {"quiet": ("-q",), "verbose": ("-v",), "as_json": ("--json",)}
"""Further spellings of flags."""


class ShownSettings(Settings):
    """How a run or a plan is shown."""

    verbose: bool = False
    """Show more: of a run also what its processes log, of a plan all settings instead of those that differ
    from the defaults."""

    as_json: bool = False
    """Print JSON, and nothing else: of a run an object a line, its events and last how it ended; of a plan
    one object."""


class OutputSettings(ShownSettings):
    """The same, and that a run may be shown in silence."""

    quiet: bool = False
    """Show no progress: only errors and where the result is; with --json only how it ended."""


@dataclass(frozen=True)
class Shown:
    """How a run or a plan is shown."""

    verbose: bool = False
    as_json: bool = False
    quiet: bool = False

    @property
    def flags(self) -> list[str]:
        """The flags that ask for this."""
        asked = {"--verbose": self.verbose, "--json": self.as_json, "--quiet": self.quiet}
        return [flag for flag, is_asked in asked.items() if is_asked]


DEFAULT = Shown()


def split_shown(given: Mapping[str, Any]) -> tuple[Shown, dict[str, Any]]:
    """How it is shown, and all other flags.

    Raises:
        ConfigError: flags contradict each other.
    """
    names = OutputSettings.model_fields
    asked = OutputSettings.of({name: value for name, value in given.items() if name in names})
    if asked.quiet and asked.verbose:
        raise ConfigError("--quiet and --verbose: give one of the two")
    rest = {name: value for name, value in given.items() if name not in names}
    return Shown(asked.verbose, asked.as_json, asked.quiet), rest
