"""From the flags that were given to one configuration, and from its errors back to flags."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from flows.cli.flags import Flag
from flows.cli.parser import UsageError
from opensloth_core.checks.problems import SeveralProblems, listed
from opensloth_core.config.base import Place, Settings, describe
from opensloth_core.config.builder import LayeredConfigError, TrainingConfigBuilder, with_origin
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.layer import SourceError
from opensloth_core.config.nest import Names
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.training import both_lengths
from opensloth_core.errors import ConfigError, OpenSlothError
from opensloth_core.presets.names import PresetChoice

Preparation = TypeVar("Preparation", bound=DatasetPrepConfig)


class SourceSettings(Settings):
    """Where settings come from beside the flags."""

    config: Path | None = None
    """Take settings from a YAML, TOML or JSON file, named like the flags, with _ for -: learning_rate: 1e-4.
    Flags win over it. The config.json of a run is such a file."""

    preset: PresetChoice | None = None
    """Begin with a named set of settings: quick, quality, memory-saver, long-context, full or reasoning
    (os-train presets explains them), or "auto" for what model size and GPU memory ask for; file, environment
    and flags win over it."""


def split_sources(given: Mapping[str, Any]) -> tuple[SourceSettings, dict[str, Any]]:
    """Where settings come from, and all other flags."""
    names = SourceSettings.model_fields
    sources = SourceSettings.of({name: value for name, value in given.items() if name in names})
    return sources, {name: value for name, value in given.items() if name not in names}


def layers(sources: SourceSettings) -> TrainingConfigBuilder:
    """Preset, file and environment, over which flags are yet to come.

    Raises:
        ConfigError: the file or a variable cannot be used.
    """
    builder = TrainingConfigBuilder()
    if sources.preset == "auto":
        raise SourceError("preset auto: goes by the memory that training takes, and data takes none; drop it")
    if sources.preset is not None:
        builder.with_preset(sources.preset)
    if sources.config is not None:
        builder.with_file(sources.config)
    return builder.with_environment(os.environ)


@dataclass(frozen=True)
class Configured(Generic[Preparation]):
    """A configuration, and where its settings came from."""

    config: Preparation

    origins: Mapping[Names, str]
    """Of each setting that is neither a default nor a flag, by its place."""


def training_config(
    given: Mapping[str, Any],
    method: str,
    earlier: Mapping[str, Any] | None = None,
    sources: SourceSettings | None = None,
) -> Configured[OpenSlothConfig]:
    """The run's configuration: defaults, over them preset, file, environment and the settings of an earlier
    run, and over all of them the flags.

    Raises:
        ConfigError: a setting is missing or wrong; named by its place in the configuration.
    """
    builder = layers(sources or SourceSettings())
    contradiction = builder.contradiction(method)
    if contradiction is not None:
        raise SourceError(
            f"{contradiction} contradicts the command, which is for {method}; change one of them"
        )
    if problem := both_lengths(given, lambda name: f"--{name.replace('_', '-')}"):
        raise UsageError(problem)
    builder.with_flags(earlier or {}).with_flags({**given, "method": method})
    return Configured(builder.build(), builder.origins)


def preparation_config(given: Mapping[str, Any], kind: type[Preparation]) -> Configured[Preparation]:
    """Settings of a preparation: defaults, over them preset, file and environment, and over them the flags.

    Raises:
        ConfigError: a setting is missing or wrong; named by its place in the configuration.
    """
    sources, flags = split_sources(given)
    builder = layers(sources).with_flags(flags)
    return Configured(builder.build_preparation(kind), builder.origins)


def problem_text(
    err: OpenSlothError, model: type[Settings], flags: Sequence[Flag], origins: Mapping[Names, str]
) -> str:
    """What is wrong, in flags where it is a setting; see `in_flags`."""
    return in_flags(err, model, flags, origins) if isinstance(err, ConfigError) else str(err)


def in_flags(
    err: ConfigError,
    model: type[Settings],
    flags: Sequence[Flag],
    origins: Mapping[Names, str] | None = None,
) -> str:
    """The error's message as the user of a command line would put it: flags, no nested paths.

    A setting that came from elsewhere keeps its name and is followed by where it stands.

    Args:
        origins: where settings came from that are neither defaults nor flags, unless the error says so.
    """
    origins = err.origins if isinstance(err, LayeredConfigError) else origins or {}
    if isinstance(err, SourceError):
        return str(err)
    if isinstance(err, SeveralProblems):
        return listed([problem_text(problem, model, flags, origins) for problem in err.problems])
    called = {flag.name: flag.called for flag in flags}
    # Spelt once in what was wrong about one setting, and once in the text of a rule about several.
    for place in origins:
        called[place[-1]] = with_origin(place, origins) or place[-1]

    def spell(place: Place) -> str:
        names = [str(part) for part in place if str(part) in called]
        # Names with an underscore are translated below.
        return "" if not names else names[-1] if "_" in names[-1] else called[names[-1]]

    cause = err.__cause__
    message = describe(cause, model, spell) if isinstance(cause, ValidationError) else str(err)
    # One-word names such as `data` are English too, so beside the word an error of ours begins with
    # only names_like_this are safe to translate.
    first, _, rest = message.partition(" ")
    if first.rstrip(":") in called and "_" not in first and not rest.startswith("("):
        message = first.replace(first.rstrip(":"), called[first.rstrip(":")]) + " " + rest
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda m: called.get(m[0], m[0]), message)
