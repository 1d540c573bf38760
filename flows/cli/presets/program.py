"""The commands of `os-train presets`; the presets are read only once one of them is called."""

from pathlib import Path

from flows.cli.command import Command, Program
from opensloth_core.config.base import Settings
from opensloth_core.presets.names import PresetName


class LsSettings(Settings):
    """How presets are listed."""

    as_json: bool = False
    """Print JSON."""


class ShowSettings(Settings):
    """Which preset is shown."""

    name: PresetName
    """Name of a preset."""

    as_json: bool = False
    """Print JSON."""


class CopySettings(Settings):
    """Which preset is copied, and where to."""

    name: PresetName
    """Name of a preset."""

    file: Path
    """New file to write, which must not exist: a .yaml that --config takes."""


def _ls(settings: LsSettings) -> int:
    from flows.cli.presets.show import run_ls

    return run_ls(settings.as_json)


def _show(settings: ShowSettings) -> int:
    from flows.cli.presets.show import run_show

    return run_show(settings.name, settings.as_json)


def _copy(settings: CopySettings) -> int:
    from flows.cli.presets.copy import run_copy

    return run_copy(settings.name, settings.file)


LS = Command(
    name="ls",
    summary="List the presets.",
    usage="os-train presets [ls] [flags]",
    description="Lists the presets, with what each is for.",
    examples=("os-train presets", "os-train presets ls --json"),
    settings=LsSettings,
    configure=LsSettings.of,
    run=_ls,
    also={"as_json": ("--json",)},
)

SHOW = Command(
    name="show",
    summary="Show what a preset changes, and why.",
    usage="os-train presets show NAME [flags]",
    description="Shows every setting of a preset beside its default, with the reason for it.",
    examples=("os-train presets show quick",),
    settings=ShowSettings,
    configure=ShowSettings.of,
    run=_show,
    positional="name",
    also={"as_json": ("--json",)},
)

COPY = Command(
    name="copy",
    summary="Write a preset as a file of yours, to change and give as --config.",
    usage="os-train presets copy NAME FILE",
    description="Writes a preset as a YAML file with its reasons as comments.",
    examples=("os-train presets copy quality my_run.yaml",),
    settings=CopySettings,
    configure=CopySettings.of,
    run=_copy,
    positional=("name", "file"),
)

PRESETS_PROGRAM = Program(
    name="os-train presets",
    summary="Named sets of settings: what they are for, what they change and why.",
    purpose=(
        "A preset is a named set of settings to begin with, given as --preset NAME. Settings from a file, the"
        " environment and flags win over it."
    ),
    commands={command.name: command for command in (LS, SHOW, COPY)},
    bare=LS,
)
