"""`os-train`: pick the command, parse its flags, run it, and put errors in one line.

Nothing heavy is imported before the flags are known to be right: no torch, no prefect.
"""

import sys
from collections.abc import Sequence

from flows.cli.commands import COMMANDS, METHODS, PLANNED_METHODS, Command
from flows.cli.flags import flags_of
from flows.cli.help import command_help, overview
from flows.cli.parser import UsageError, parse_flags
from flows.cli.settings import in_flags
from flows.cli.spelling import did_you_mean
from opensloth_core.errors import ConfigError

USAGE_ERROR = 2


def entry() -> None:
    """The console script."""
    sys.exit(main())


def main(argv: list[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: the words after the program's name; `sys.argv[1:]` when not given.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 the user's input is at fault, 128 + n for a signal.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words:
        sys.stderr.write(overview(COMMANDS))
        return USAGE_ERROR
    first, rest = words[0], words[1:]
    if first in ("-h", "--help"):
        sys.stdout.write(overview(COMMANDS))
        return 0
    if first == "--version":
        print(f"os-train {_version()}")
        return 0
    if first not in COMMANDS:
        return _complain("os-train", _no_such_command(first), "os-train --help")
    return _run(COMMANDS[first], rest)


def _run(command: Command, words: Sequence[str]) -> int:
    flags = flags_of(command.settings)
    if "-h" in words or "--help" in words:
        sys.stdout.write(command_help(command, flags))
        return 0
    program = f"os-train {command.name}"
    try:
        settings = command.configure(parse_flags(flags, words))
    except UsageError as err:
        return _complain(program, str(err), f"{program} --help")
    except ConfigError as err:
        return _complain(program, in_flags(err, command.settings, flags), f"{program} --help")
    return command.run(settings)


def _complain(program: str, message: str, hint: str) -> int:
    print(f"{program}: {message} ({hint})", file=sys.stderr)
    return USAGE_ERROR


def _no_such_command(word: str) -> str:
    methods = ", ".join(METHODS)
    if word in PLANNED_METHODS:
        return f"method {word!r} is not available yet in this version; available: {methods}"
    if word.startswith("-"):
        return f"flag {word} stands before the command; flags follow it, as in os-train sft DATA {word} …"
    # Two swapped letters of a three-letter name are already a third of it.
    meant = did_you_mean(word, COMMANDS, cutoff=0.6)
    return f"unknown method {word!r}" + (meant or f"; methods: {methods}")


def _version() -> str:
    # Imported here: it costs as much as the rest of the command line.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("opensloth")
    except PackageNotFoundError:
        return "(not installed)"
