"""A command line from its words to its exit code: pick the command, parse its flags, run it.

Nothing heavy is imported before the flags are known to be right: no torch, no prefect.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from flows.cli.command import Command, Program
from flows.cli.help import command_help, overview
from flows.cli.help_pages import HELP
from flows.cli.json_view import refused_as_json
from flows.cli.parser import UsageError, parse_flags
from flows.cli.settings import in_flags
from opensloth_core.config.spelling import closest
from opensloth_core.errors import ConfigError, OpenSlothError

USAGE_ERROR = 2
HELP_ALL = "--help-all"


def main(program: Program, argv: list[str] | None = None) -> int:
    """Run one command line.

    Args:
        program: what was called.
        argv: the words after its name; `sys.argv[1:]` when not given.

    Returns:
        The exit code: 0 done, 1 the run failed, 2 the user's input is at fault, 128 + n for a signal.
    """
    words = sys.argv[1:] if argv is None else argv
    if not words and program.bare is not None:
        return _run(program, program.bare, words)
    if not words:
        sys.stderr.write(overview(program))
        return USAGE_ERROR
    first, rest = words[0], words[1:]
    if first in (*HELP, HELP_ALL):
        sys.stdout.write(overview(program, first == HELP_ALL))
        return 0
    if first == "--version":
        print(f"{program.name} {_version()}")
        return 0
    if command := program.commands.get(first):
        return _run(program, command, rest)
    if group := program.groups.get(first):
        return main(group, list(rest))
    problem = _not_a_command(program, first)
    if problem is None and program.default is not None:
        return _run(program, program.default, words)
    return _complain(program.name, problem or f"unknown command {first!r}", f"{program.name} --help")


def _run(program: Program, command: Command, words: Sequence[str]) -> int:
    flags = command.flags
    called = program.called(command)
    if any(word in (*HELP, HELP_ALL) for word in words):
        is_whole = HELP_ALL in words
        is_default = command is program.default
        sys.stdout.write(
            overview(program, is_whole) if is_default else command_help(command, called, is_whole)
        )
        return 0
    try:
        settings = command.configure(parse_flags(flags, words, command.flags_of_others))
    except ConfigError as err:
        message = str(err) if isinstance(err, UsageError) else in_flags(err, command.settings, flags)
        if "--json" in words and any(flag.name == "quiet" for flag in flags):
            return refused_as_json(called, message)
        return _complain(called, message, f"{called} --help")
    except OpenSlothError as err:  # of a home folder that cannot be read
        print(f"{called}: {err}", file=sys.stderr)
        return err.exit_code
    return command.run(settings)


def _complain(called: str, message: str, hint: str) -> int:
    print(f"{called}: {message} ({hint})", file=sys.stderr)
    return USAGE_ERROR


def _not_a_command(program: Program, word: str) -> str | None:
    """What is wrong with a first word that calls no command; None where the default command takes it."""
    meant = _meant(program, word)
    if program.default is not None:
        is_misspelt = meant and word.isalpha() and not Path(word).exists()
        return f"unknown command {word!r}{meant}" if is_misspelt else None
    methods = [name for name, command in program.commands.items() if command.takes_data]
    if word.startswith("-"):
        example = f"{methods[0]} DATA" if methods else program.words[0]
        return (
            f"flag {word} stands before the command; flags follow it, as in {program.name} {example} {word} …"
        )
    kind = "method" if methods == program.words else "command"
    return f"unknown {kind} {word!r}" + (meant or f"; {kind}s: {', '.join(program.words)}")


def _meant(program: Program, word: str) -> str:
    """`; did you mean sft?`, or `; did you mean runs logs?`, whose second word may stand alone."""
    inner: dict[str, list[str]] = {name: [] for group in program.groups.values() for name in group.commands}
    for group_word, group in program.groups.items():
        for name in group.commands:
            inner[name].append(f"{group_word} {name}")
    # Two swapped letters of a three-letter name are already a third of it.
    own, other = closest(word, program.words, 0.6), closest(word, inner, 0.6)
    if word not in inner and own is not None:
        return f"; did you mean {own}?"
    return f"; did you mean {', '.join(inner[other])}?" if other else ""


def _version() -> str:
    # Imported here: it costs as much as the rest of the command line.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("opensloth")
    except PackageNotFoundError:
        return "(not installed)"
