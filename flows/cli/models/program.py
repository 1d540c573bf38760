"""The commands of `os-train models`; what they do is imported only once one of them is called."""

from flows.cli.command import Command, Program
from flows.cli.models.arguments import (
    LsSettings,
    PathSettings,
    PromoteSettings,
    RmSettings,
    RollbackSettings,
    ShowSettings,
)

JSON_FLAG = {"as_json": ("--json",)}


def _ls(settings: LsSettings) -> int:
    from flows.cli.models.ls import run_ls

    return run_ls(settings.as_json)


def _show(settings: ShowSettings) -> int:
    from flows.cli.models.show import run_show

    return run_show(settings.name, settings.as_json)


def _path(settings: PathSettings) -> int:
    from flows.cli.models.path import run_path

    return run_path(settings.name, settings.version)


def _rollback(settings: RollbackSettings) -> int:
    from flows.cli.models.change import run_rollback

    return run_rollback(settings.name, settings.to, settings.as_json)


def _promote(settings: PromoteSettings) -> int:
    from flows.cli.models.change import run_promote

    return run_promote(settings.name, settings.run, settings.keep, settings.why, settings.as_json)


def _rm(settings: RmSettings) -> int:
    from flows.cli.models.rm import run_rm

    return run_rm(settings.name, settings.version, settings.dry_run, settings.yes, settings.as_json)


LS = Command(
    name="ls",
    summary="List promoted models: current version, from which run, how good.",
    usage="os-train models ls [flags]",
    description="Lists the models of this home, or of the store that OPENSLOTH_MODELS names.",
    examples=("os-train models ls", "os-train models ls --json"),
    settings=LsSettings,
    configure=LsSettings.of,
    run=_ls,
    also=JSON_FLAG,
)

SHOW = Command(
    name="show",
    summary="Show one model: its current version and those it can go back to.",
    usage="os-train models show NAME [flags]",
    description="Shows how the current version was judged, and every version that is kept.",
    examples=("os-train models show support-bot", "os-train models show support-bot --json"),
    settings=ShowSettings,
    configure=ShowSettings.of,
    run=_show,
    positional="name",
    also=JSON_FLAG,
)

PATH = Command(
    name="path",
    summary="Print the folder of a model's current version, for scripts.",
    usage="os-train models path NAME [flags]",
    description=(
        "Prints the folder of one version, whose files never change; of a model in a remote store that of a"
        " verified copy. Ask once and open all files there: through the link models/NAME/current a script"
        " may see two versions when a new one is promoted meanwhile."
    ),
    examples=(
        "os-train models path support-bot",
        'os-train sft my_data.jsonl --model "$(os-train models path support-bot)"',
    ),
    settings=PathSettings,
    configure=PathSettings.of,
    run=_path,
    positional="name",
)

ROLLBACK = Command(
    name="rollback",
    summary="Make an earlier version the current one again.",
    usage="os-train models rollback NAME [flags]",
    description="Goes back to the version that was current before, or to a named one, in one step.",
    examples=("os-train models rollback support-bot", "os-train models rollback support-bot --to 0007"),
    settings=RollbackSettings,
    configure=RollbackSettings.of,
    run=_rollback,
    positional="name",
    metavars={"to": "VERSION"},
    also=JSON_FLAG,
)

PROMOTE = Command(
    name="promote",
    summary="Make the result of a completed run a model's current version.",
    usage="os-train models promote NAME RUN [flags]",
    description=(
        "Copies the adapter or the model of a run, checks that it is whole, and makes it current in one step."
        " Scheduled retraining does so by itself where the new model is better."
    ),
    examples=(
        "os-train models promote support-bot last",
        "os-train models promote support-bot a1b2 --keep 3",
    ),
    settings=PromoteSettings,
    configure=PromoteSettings.of,
    run=_promote,
    positional=("name", "run"),
    also=JSON_FLAG,
)

RM = Command(
    name="rm",
    summary="Remove a model, or one version of it.",
    usage="os-train models rm NAME [flags]",
    description=(
        "Removes a model with all its versions, or a version that is not the current one. Never one that a"
        " run works with or that a program holds."
    ),
    examples=("os-train models rm support-bot --dry-run", "os-train models rm support-bot --version 0007"),
    settings=RmSettings,
    configure=RmSettings.of,
    run=_rm,
    positional="name",
    also=JSON_FLAG,
)

MODELS = Program(
    name="os-train models",
    summary="See which models were promoted, promote, roll back.",
    purpose=(
        "A model has a name and versions, one of which is current. Versions are kept in"
        " $OPENSLOTH_HOME/models, or in the store that OPENSLOTH_MODELS names."
    ),
    commands={command.name: command for command in (LS, SHOW, PATH, ROLLBACK, PROMOTE, RM)},
)
