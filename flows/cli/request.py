"""What a training command asks for: a configuration, and whether an earlier run goes on with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.cli.settings import SourceSettings, training_config
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError

AUTO = "auto"


class ResumeSettings(SourceSettings):
    """How a run is driven."""

    resume: str | None = None
    """Go on with a run that did not end well, in its directory: its name or folder, or "auto" for the newest
    unfinished run of this very command. With a name, DATA, --model and all other settings are that run's."""

    allow_drift: bool = False
    """Resume although data, model, GPUs or settings are not what they were."""


@dataclass(frozen=True)
class FinetuneRequest:
    """A configuration, and how to run it."""

    config: OpenSlothConfig
    resume: str | None = None
    allow_drift: bool = False


def finetune_request(given: Mapping[str, Any], method: str) -> FinetuneRequest:
    """The request of a command line.

    Raises:
        ConfigError: a setting is missing or wrong, or there is no such run to resume.
    """
    names = ResumeSettings.model_fields
    driving = ResumeSettings.of({name: value for name, value in given.items() if name in names})
    flags = {name: value for name, value in given.items() if name not in names}
    earlier: dict[str, Any] = {}
    if driving.resume is not None and driving.resume != AUTO:
        _refuse_sources(driving)
        from opensloth_core.runs.find import find_resumable

        run = find_resumable(driving.resume)
        assert run is not None, "a named run is found, or refused"
        earlier = run.config().model_dump(exclude_unset=True)
    config = training_config(flags, method, earlier, driving)
    return FinetuneRequest(config, driving.resume, driving.allow_drift)


def _refuse_sources(driving: ResumeSettings) -> None:
    for name in SourceSettings.model_fields:
        if getattr(driving, name) is not None:
            raise ConfigError(
                f"{name}: the run {driving.resume} goes on with its own settings; drop --{name}"
            )
