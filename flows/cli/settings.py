"""From the flags that were given to one configuration, and from its errors back to flags."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from flows.cli.flags import Flag
from opensloth_core.config.base import Place, Settings, describe
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError


def training_config(
    given: Mapping[str, Any], method: str, earlier: Mapping[str, Any] | None = None
) -> OpenSlothConfig:
    """The run's configuration: defaults, over them the settings of an earlier run, and over them the flags.

    Raises:
        ConfigError: a setting is missing or wrong; named by its place in the configuration.
    """
    return TrainingConfigBuilder().with_flags(earlier or {}).with_flags({**given, "method": method}).build()


def in_flags(err: ConfigError, model: type[Settings], flags: Sequence[Flag]) -> str:
    """The error's message as the user of a command line would put it: flags, no nested paths."""
    called = {flag.name: flag.called for flag in flags}

    def spell(place: Place) -> str:
        names = [called[str(part)] for part in place if str(part) in called]
        return names[-1] if names else ""

    cause = err.__cause__
    message = describe(cause, model, spell) if isinstance(cause, ValidationError) else str(err)
    # One-word names such as `data` are English too, so beside the word an error of ours begins with
    # only names_like_this are safe to translate.
    first, _, rest = message.partition(" ")
    if first.rstrip(":") in called:
        message = first.replace(first.rstrip(":"), called[first.rstrip(":")]) + " " + rest
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda m: called.get(m[0], m[0]), message)
