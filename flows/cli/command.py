"""What a command and a program are: one entry each for help, parsing and running."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.cli.flags import POSITIONAL, Flag, flags_of
from flows.cli.parser import accepted_spellings
from opensloth_core.config.base import Settings
from opensloth_core.config.data import DatasetPrepConfig


@dataclass(frozen=True)
class Command:
    """One command of a program."""

    name: str
    """The word it is called by; empty for the one that needs none."""

    summary: str
    """One sentence for the overview."""

    usage: str
    description: str
    examples: tuple[str, ...]
    settings: type[Settings]
    """The model its flags are generated from."""

    configure: Callable[[Mapping[str, Any]], Any]
    """From the given flags to what `run` takes."""

    run: Callable[[Any], int]
    """Does the work and returns the exit code; imports what it needs only then."""

    hidden: tuple[str, ...] = ()
    """Settings that are no flags here."""

    extra: type[Settings] | None = None
    """More flags, which say how a run is driven and are no part of its configuration."""

    positional: str | tuple[str, ...] = POSITIONAL
    """The setting that is given without a flag, or several in their order."""

    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further spellings of flags, by setting."""

    metavars: Mapping[str, str] = field(default_factory=dict)
    """What values of flags are, where it is not what they are in other commands, by setting."""

    @property
    def flags(self) -> list[Flag]:
        flags = flags_of(self.settings, self.hidden, self.positional, self.also, self.metavars)
        return flags + (flags_of(self.extra, also=self.also) if self.extra else [])

    @property
    def flags_of_others(self) -> Mapping[str, str]:
        """Flags that only another method has, by their spellings, with that method."""
        others = [flag for flag in flags_of(self.settings) if flag.group and flag.group in self.hidden]
        return {spelling: str(flag.group) for flag in others for spelling in accepted_spellings(flag)}

    @property
    def takes_data(self) -> bool:
        return issubclass(self.settings, DatasetPrepConfig)


@dataclass(frozen=True)
class Program:
    """A console script."""

    name: str
    purpose: str
    commands: Mapping[str, Command]
    """By the word that calls them."""

    default: Command | None = None
    """The command that no word calls."""

    bare: Command | None = None
    """The command that runs when nothing at all is typed; the overview is shown when there is none."""

    groups: Mapping[str, "Program"] = field(default_factory=dict)
    """Further commands that have commands of their own, by the word that calls them."""

    summary: str = ""
    """Of a group: one sentence for the overview."""

    @property
    def words(self) -> list[str]:
        """Every word that may come first."""
        return [*self.commands, *self.groups]

    def called(self, command: Command) -> str:
        """`os-train sft`, or `os-data` for its default command."""
        return f"{self.name} {command.name}".strip()
