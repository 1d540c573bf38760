"""Help as a person reads it: grouped, wrapped to the terminal, with examples that work."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence

from flows.cli.command import Command, Program
from flows.cli.flags import Flag
from flows.cli.help_pages import WIDEST
from flows.cli.sections import by_section, matter_first

NARROWEST = 40
WORD_COLUMN = 13
HELP_COLUMN = 28
HELP_COLUMN_NARROW = 8
GENERAL_FLAGS = {
    "-h, --help": "Help; after a command, the flags that matter first.",
    "--help-all": "After a command, all of its flags.",
    "--version": "The version of OpenSloth.",
}
ELSEWHERE = (
    "Settings may also stand in a --config file (learning_rate: 1e-4) or in a variable"
    " (OPENSLOTH_SET_LEARNING_RATE=1e-4)."
)
UNBROKEN_SPACE = "\u00a0"


def command_help(command: Command, called: str, is_whole: bool = False) -> str:
    """The screen of `os-train sft --help`.

    Args:
        called: how the command is called: `os-train sft`.
        is_whole: show every flag, as `--help-all` does.
    """
    width = _width()
    parts = [f"usage: {command.usage}", _wrapped(command.description, width)]
    return _joined([*parts, *_flags(command, called, width, is_whole), _examples(command)])


def overview(program: Program, is_whole: bool = False) -> str:
    """The screen of `os-train --help`; where a program has a default command, with its flags.

    Args:
        is_whole: show every flag, as `--help-all` does.
    """
    width, default = _width(), program.default
    if default is None:
        parts = [f"usage: {program.name} {_called(program)} [flags]", _wrapped(program.purpose, width)]
        parts += [_command(command, width) for command in program.commands.values()]
        parts += [_group(word, group, width) for word, group in program.groups.items()]
        return _joined([*parts, _entries("Flags", GENERAL_FLAGS, width)])
    usages = [command.usage for command in (default, *program.commands.values())]
    parts = ["usage: " + "\n       ".join(usages), _wrapped(default.description, width)]
    others = {f"{name} …": command.summary for name, command in program.commands.items()}
    if others:
        parts.append(_entries("Commands", others, width))
    parts += _flags(default, program.name, width, is_whole)
    parts += [_entries("Flags", GENERAL_FLAGS, width), _examples(default)]
    return _joined(parts)


def _called(program: Program) -> str:
    """`COMMAND`, or the commands themselves where all of them take data."""
    takes_data = all(command.takes_data for command in program.commands.values())
    return "|".join(program.commands) + " DATA …" if takes_data else "COMMAND"


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _command(command: Command, width: int) -> str:
    return _summary(command.name, command.summary, command.examples[0], width)


def _group(word: str, group: Program, width: int) -> str:
    return _summary(word, group.summary, f"{group.name} --help", width)


def _summary(word: str, summary: str, example: str, width: int) -> str:
    indent = " " * WORD_COLUMN
    return f"{_wrapped(summary, width, f'  {word}'.ljust(WORD_COLUMN), indent)}\n{indent}{example}"


def _flags(command: Command, called: str, width: int, is_whole: bool) -> list[str]:
    flags = command.flags
    shown = flags if is_whole else matter_first(command.name, flags)
    sections = by_section(shown)
    parts = [_entries(title, {f.label: _text(f) for f in part}, width) for title, part in sections.items()]
    if len(shown) < len(flags):
        parts.append(_wrapped(f"All {len(flags)} flags: {called} --help-all", width))
    if command.takes_data:
        parts.append(_wrapped(ELSEWHERE, width))
    return parts


def _entries(title: str, entries: Mapping[str, str], width: int) -> str:
    return "\n".join([f"{title}:", *(_entry(label, text, width) for label, text in entries.items())])


def _examples(command: Command) -> str:
    return "\n".join(["Examples:", *(f"  {example}" for example in command.examples)])


def _width() -> int:
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def _text(flag: Flag) -> str:
    notes = ["repeatable"] if flag.is_repeatable and flag.spellings else []
    if flag.default is not None:
        notes.append(f"default{UNBROKEN_SPACE}{flag.default}")
    return f"{flag.help} ({', '.join(notes)})" if notes else flag.help


def _entry(label: str, text: str, width: int) -> str:
    """A label and its text in two columns, or under one another where the label is long."""
    column = HELP_COLUMN if width >= 60 else HELP_COLUMN_NARROW
    indent = " " * column
    if len(label) + 4 > column:
        if len(label) + 2 > width:
            label = label.replace(" ", "\n      ")
        return f"  {label}\n{_wrapped(text, width, indent)}"
    return _wrapped(text, width, f"  {label}".ljust(column), indent)


def _wrapped(text: str, width: int, first: str = "", rest: str | None = None) -> str:
    rest = first if rest is None else rest
    filled = textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )
    return filled.replace(UNBROKEN_SPACE, " ")
