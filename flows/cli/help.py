"""Help as a person reads it: grouped, wrapped to the terminal, with examples that work."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence

from flows.cli.command import Command, Program
from flows.cli.flags import Flag
from flows.cli.sections import by_section

WIDEST = 80
NARROWEST = 40
HELP_COLUMN = 28
HELP_COLUMN_NARROW = 8
GENERAL_FLAGS = {
    "-h, --help": "Help; after a command, its flags.",
    "--version": "The version of OpenSloth.",
}
UNBROKEN_SPACE = "\u00a0"


def command_help(command: Command) -> str:
    """The screen of `os-train sft --help`."""
    width = _width()
    parts = [f"usage: {command.usage}", _wrapped(command.description, width)]
    return _joined([*parts, *_sections(command, width), _examples(command)])


def overview(program: Program) -> str:
    """The screen of `os-train --help`; where a program has a default command, with its flags."""
    width, default = _width(), program.default
    if default is None:
        parts = [f"usage: {program.name} COMMAND [flags]", _wrapped(program.purpose, width)]
        parts += [_command(command, width) for command in program.commands.values()]
        return _joined([*parts, _entries("Flags", GENERAL_FLAGS, width)])
    usages = [command.usage for command in (default, *program.commands.values())]
    parts = ["usage: " + "\n       ".join(usages), _wrapped(default.description, width)]
    others = {f"{name} …": command.summary for name, command in program.commands.items()}
    parts.append(_entries("Commands", others, width))
    parts += [*_sections(default, width), _entries("Flags", GENERAL_FLAGS, width), _examples(default)]
    return _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _command(command: Command, width: int) -> str:
    summary = _wrapped(command.summary, width, f"  {command.name:8}", "          ")
    return f"{summary}\n          {command.examples[0]}"


def _sections(command: Command, width: int) -> list[str]:
    sections = by_section(command.flags)
    return [_entries(title, {f.label: _text(f) for f in flags}, width) for title, flags in sections.items()]


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
