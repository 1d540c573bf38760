"""The commands of `os-train cache`; what they do is imported only once one of them is called."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, NonNegativeInt

from flows.cli.cache.explain_program import explain_program
from flows.cli.cache.quantities import parse_age, parse_size
from flows.cli.command import Command, Program
from opensloth_core.config.base import Settings

JSON_FLAG = {"as_json": ("--json",)}


class LsSettings(Settings):
    """How the store is listed."""

    remote: bool = False
    """List the store that machines share (OPENSLOTH_STORE) instead of this machine's."""

    as_json: bool = False
    """Print JSON."""


class ShowSettings(Settings):
    """Which artifact is shown."""

    key: str = Field(min_length=1)
    """Key of an artifact, or how it begins."""

    as_json: bool = False
    """Print JSON."""


class PinSettings(Settings):
    """Which artifacts are pinned, or are no longer."""

    keys: tuple[str, ...] = Field(min_length=1)
    """Keys of artifacts, or how they begin."""

    as_json: bool = False
    """Print JSON."""


class VerifySettings(Settings):
    """What is verified."""

    keys: tuple[str, ...] = ()
    """Keys of artifacts, or how they begin; all of them when not given."""

    delete: bool = False
    """Remove what is damaged; the next run that needs it makes it again."""

    as_json: bool = False
    """Print JSON."""


class GcSettings(Settings):
    """What may go."""

    max_age: Annotated[float, BeforeValidator(parse_age)] | None = None
    """Remove what was not used for so long, such as 30d, 12h or 90min."""

    max_size: Annotated[int, BeforeValidator(parse_size)] | None = None
    """Remove what was not used for longest until all takes no more than this, such as 200G or 500MB."""

    unreferenced: bool = False
    """Remove prepared data and merged models that no run in the runs folder was started with, and tokens that
    no prepared data was made from; what was made or used within the hour stays."""

    keep: NonNegativeInt | None = None
    """Whatever else is given, keep this many of each kind, those used last; alone, remove all others."""

    dry_run: bool = False
    """Say what would be removed, and remove nothing."""

    remote: bool = False
    """Collect in the store that machines share (OPENSLOTH_STORE) instead of this machine's; ages count from
    when an artifact was published there."""

    as_json: bool = False
    """Print JSON."""


def _ls(settings: LsSettings) -> int:
    if settings.remote:
        from flows.cli.cache.remote import run_remote_ls

        return run_remote_ls(settings.as_json)
    from flows.cli.cache.ls import run_ls

    return run_ls(settings.as_json)


def _show(settings: ShowSettings) -> int:
    from flows.cli.cache.show import run_show

    return run_show(settings.key, settings.as_json)


def _verify(settings: VerifySettings) -> int:
    from flows.cli.cache.verify import run_verify

    return run_verify(settings.keys, settings.delete, settings.as_json)


def _gc(settings: GcSettings) -> int:
    from opensloth_core.store.collect import Policy

    policy = Policy(settings.max_age, settings.max_size, settings.keep, settings.unreferenced)
    if settings.remote:
        from flows.cli.cache.remote import run_remote_gc

        return run_remote_gc(policy, settings.dry_run, settings.as_json)
    from flows.cli.cache.gc import run_gc

    return run_gc(policy, settings.dry_run, settings.as_json)


def _pin(settings: PinSettings) -> int:
    from flows.cli.cache.pin import run_pin

    return run_pin(settings.keys, settings.as_json)


def _unpin(settings: PinSettings) -> int:
    from flows.cli.cache.pin import run_unpin

    return run_unpin(settings.keys, settings.as_json)


LS = Command(
    name="ls",
    summary="List what is in the store, last made first.",
    usage="os-train cache ls [flags]",
    description=(
        "Lists prepared data, the tokens it was made from, and models that an adapter was merged into. Tokens"
        " of inputs with rows in common share files, whose bytes the total counts once."
    ),
    examples=("os-train cache ls", "os-train cache ls --remote --json"),
    settings=LsSettings,
    configure=LsSettings.of,
    run=_ls,
    also=JSON_FLAG,
)

SHOW = Command(
    name="show",
    summary="Show one artifact: parts of its key, settings, where its rows went, files.",
    usage="os-train cache show KEY [flags]",
    description="Shows all that is known of an artifact, and what in the store belongs to it.",
    examples=("os-train cache show 3f2a", "os-train cache show 3f2a --json"),
    settings=ShowSettings,
    configure=ShowSettings.of,
    run=_show,
    positional="key",
    also=JSON_FLAG,
)

VERIFY = Command(
    name="verify",
    summary="Read every byte of the store and say what is damaged.",
    usage="os-train cache verify [KEY …] [flags]",
    description=(
        "Compares every file with the digest it had when it was written. Exit code 1 says that something is"
        " damaged. Runs find missing files and wrong sizes themselves; with --verify they read every byte."
    ),
    examples=("os-train cache verify", "os-train cache verify 3f2a --delete"),
    settings=VerifySettings,
    configure=VerifySettings.of,
    run=_verify,
    positional="keys",
    also=JSON_FLAG,
)

GC = Command(
    name="gc",
    summary="Remove what is old, unused or too much; never what a run works with.",
    usage="os-train cache gc [flags]",
    description=(
        "Removes what the flags name. Without any, removes only what killed processes left behind. What is"
        " pinned, what a running run works with, and merged models that an existing run's result is based on"
        " always stay. Whatever was removed is made again when it is needed."
    ),
    examples=(
        "os-train cache gc --max-age 30d --dry-run",
        "os-train cache gc --max-size 200G --keep 10",
        "os-train cache gc --unreferenced",
    ),
    settings=GcSettings,
    configure=GcSettings.of,
    run=_gc,
    also=JSON_FLAG,
)

PIN = Command(
    name="pin",
    summary="Have artifacts never collected.",
    usage="os-train cache pin KEY … [flags]",
    description="Pins artifacts: gc leaves them alone, whatever it is told.",
    examples=("os-train cache pin 3f2a", "os-train cache pin 3f2a 9b1c"),
    settings=PinSettings,
    configure=PinSettings.of,
    run=_pin,
    positional="keys",
    also=JSON_FLAG,
)

UNPIN = Command(
    name="unpin",
    summary="Have them collected again like all others.",
    usage="os-train cache unpin KEY … [flags]",
    description="Takes pins away.",
    examples=("os-train cache unpin 3f2a",),
    settings=PinSettings,
    configure=PinSettings.of,
    run=_unpin,
    positional="keys",
    also=JSON_FLAG,
)


def cache_program(methods: Mapping[str, Command]) -> Program:
    """`os-train cache`.

    Args:
        methods: the training commands, whose arguments `explain` takes.
    """
    return Program(
        name="os-train cache",
        summary="See what prepared data is kept, why a run would find its own, and clean up.",
        purpose=(
            "Prepared data is kept under a key of all that decides it, and found again by every run with the"
            " same key. These commands look at what is kept, and remove what is not needed."
        ),
        commands={command.name: command for command in (LS, SHOW, VERIFY, GC, PIN, UNPIN)},
        groups={"explain": explain_program(methods)},
    )
