"""What a training command asks for: a configuration, and whether an earlier run goes on with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.cli.plan.asked import DryRunSettings, split_dry_run
from flows.cli.settings import SourceSettings, preparation_config, training_config
from flows.cli.shown import DEFAULT, Shown, split_shown
from opensloth_core.config.base import Settings
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.nest import Names
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


class RemoteSettings(Settings):
    """Who runs what the command asks for."""

    remote: bool = False
    """Have the server's worker run this (os-train server start, or PREFECT_API_URL) and follow its logs here;
    the exit code is the run's. The worker has to see data and model by the same names, and may read and write
    only what its owner opened. Ctrl-C asks on a terminal whether to cancel; otherwise the run goes on."""

    detach: bool = False
    """With --remote: end once the run is submitted."""


class TmuxSettings(Settings):
    """Whether a run lives in a tmux session."""

    tmux: str | None = None
    """Run in a tmux session of this name, or named after the run, and return at once: a window for the
    workflow and one for each rank's log. It outlives this terminal; os-train runs wait has its exit code."""

    attach: bool = False
    """With --tmux: go into the session, if this is a terminal."""


class RunSettings(DryRunSettings, TmuxSettings, RemoteSettings, ResumeSettings):
    """How a training run is driven, and who runs it, if it is not only planned."""


@dataclass(frozen=True)
class FinetuneRequest:
    """A configuration, and how to run it."""

    config: OpenSlothConfig
    resume: str | None = None
    allow_drift: bool = False
    remote: bool = False
    detach: bool = False
    plan: Shown | None = None
    """How its plan is printed instead of running it; None to run it."""

    shown: Shown = DEFAULT
    """How the run is shown."""

    tmux: str | None = None
    """Name of the tmux session that it lives in, or "auto" for that of the run; None for this terminal."""

    attach: bool = False

    note: str | None = None
    """What its record has to say of how the configuration came about."""

    origins: Mapping[Names, str] = field(default_factory=dict)
    """Where settings came from, see `Configured`."""


@dataclass(frozen=True)
class PrepareRequest:
    """Settings of a preparation, and who runs it."""

    config: DatasetPrepConfig
    remote: bool = False
    detach: bool = False
    shown: Shown = DEFAULT

    origins: Mapping[Names, str] = field(default_factory=dict)
    """Where settings came from, see `Configured`."""


def prepare_request(given: Mapping[str, Any]) -> PrepareRequest:
    """The request of a command line of `os-data`.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    shown, given = split_shown(given)
    remote, flags = _remote(given, shown)
    asked = preparation_config(flags, DatasetPrepConfig)
    return PrepareRequest(asked.config, remote.remote, remote.detach, shown, asked.origins)


def finetune_request(given: Mapping[str, Any], method: str) -> FinetuneRequest:
    """The request of a command line.

    Raises:
        ConfigError: a setting is missing or wrong, or there is no such run to resume.
    """
    names = ResumeSettings.model_fields
    shown, given = split_shown(given)
    plan, given = split_dry_run(given, shown)
    remote, given = _remote(given, shown)
    tmux, given = _tmux(given, remote, shown)
    driving = ResumeSettings.of({name: value for name, value in given.items() if name in names})
    flags = {name: value for name, value in given.items() if name not in names}
    if driving.allow_drift and driving.resume is None:
        raise ConfigError("allow_drift: has a meaning with --resume only; a new run cannot drift")
    earlier: dict[str, Any] = {}
    if driving.resume is not None and driving.resume != AUTO:
        _refuse_sources(driving)
        from opensloth_core.runs.find import find_resumable

        run = find_resumable(driving.resume)
        assert run is not None, "a named run is found, or refused"
        earlier = run.config().model_dump(exclude_unset=True)
    sources, note = _with_preset(flags, method, driving, remote)
    asked = training_config(flags, method, earlier, sources)
    return FinetuneRequest(
        config=asked.config,
        resume=driving.resume,
        allow_drift=driving.allow_drift,
        remote=remote.remote,
        detach=remote.detach,
        plan=plan,
        shown=shown,
        tmux=tmux.tmux,
        attach=tmux.attach,
        note=note,
        origins=asked.origins,
    )


def _with_preset(
    flags: Mapping[str, Any], method: str, sources: SourceSettings, remote: RemoteSettings
) -> tuple[SourceSettings, str | None]:
    """Where settings come from, with the preset that "auto" means here, and why."""
    if sources.preset != AUTO:
        return sources, None
    if remote.remote:
        raise ConfigError("preset auto: goes by the GPUs of this machine; with --remote name a preset")
    from opensloth_core.presets.auto import choose_preset

    without = sources.model_copy(update={"preset": None})
    choice = choose_preset(training_config(flags, method, sources=without).config)
    return sources.model_copy(update={"preset": choice.preset}), choice.text


def _remote(given: Mapping[str, Any], shown: Shown) -> tuple[RemoteSettings, dict[str, Any]]:
    names = RemoteSettings.model_fields
    remote = RemoteSettings.of({name: value for name, value in given.items() if name in names})
    if remote.detach and not remote.remote:
        raise ConfigError("detach: has a meaning with --remote only; a run of this command ends with it")
    if remote.remote and shown.flags:
        raise ConfigError(f"{shown.flags[0]}: says how a run of this machine is shown; drop it, or --remote")
    return remote, {name: value for name, value in given.items() if name not in names}


def _tmux(
    given: Mapping[str, Any], remote: RemoteSettings, shown: Shown
) -> tuple[TmuxSettings, dict[str, Any]]:
    names = TmuxSettings.model_fields
    tmux = TmuxSettings.of({name: value for name, value in given.items() if name in names})
    if tmux.attach and tmux.tmux is None:
        raise ConfigError("attach: has a meaning with --tmux only; a run of this command is shown here")
    if tmux.tmux is not None and remote.remote:
        raise ConfigError("tmux: with --remote a worker runs it, in no terminal; drop one of the two")
    if tmux.tmux is not None and shown.as_json:
        raise ConfigError(
            "--json: prints a run as it goes on, and one in --tmux is shown in its session; drop one of the "
            "two: os-train runs show RUN --json tells of any run"
        )
    return tmux, {name: value for name, value in given.items() if name not in names}


def _refuse_sources(driving: ResumeSettings) -> None:
    for name in SourceSettings.model_fields:
        if getattr(driving, name) is not None:
            raise ConfigError(
                f"{name}: the run {driving.resume} goes on with its own settings; drop --{name}"
            )
