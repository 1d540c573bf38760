"""Help as a person reads it: grouped, wrapped to the terminal, with examples that work."""

import shutil
import textwrap
from collections.abc import Mapping, Sequence

from flows.cli.commands import Command
from flows.cli.flags import Flag
from flows.cli.sections import by_section

WIDEST = 80
NARROWEST = 40
HELP_COLUMN = 28
HELP_COLUMN_NARROW = 8
UNBROKEN_SPACE = "\u00a0"


def command_help(command: Command, flags: Sequence[Flag]) -> str:
    """The screen of `os-train sft --help`."""
    width = _width()
    parts = [f"usage: {command.usage}", _wrapped(command.description, width)]
    for title, members in by_section(flags).items():
        parts.append("\n".join([f"{title}:", *(_entry(f.label, _text(f), width) for f in members)]))
    parts.append("\n".join(["Examples:", *(f"  {example}" for example in command.examples)]))
    return "\n\n".join(parts) + "\n"


def overview(commands: Mapping[str, Command]) -> str:
    """The screen of `os-train --help`."""
    width = _width()
    parts = [
        "usage: os-train COMMAND [flags]",
        _wrapped(
            "Fine-tune a language model on your own data: one command from raw rows to a"
            " trained adapter, on every GPU of this machine.",
            width,
        ),
    ]
    for command in commands.values():
        summary = _wrapped(command.summary, width, f"  {command.name:8}", "          ")
        parts.append(f"{summary}\n          {command.examples[0]}")
    parts.append(
        "\n".join(
            [
                "Flags:",
                _entry("-h, --help", "Help; after a command, its flags.", width),
                _entry("--version", "The version of OpenSloth.", width),
            ]
        )
    )
    return "\n\n".join(parts) + "\n"


def _width() -> int:
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def _text(flag: Flag) -> str:
    if flag.default is None:
        return flag.help
    return f"{flag.help} (default{UNBROKEN_SPACE}{flag.default})"


def _entry(label: str, text: str, width: int) -> str:
    """A label and its text in two columns, or under one another where the label is long."""
    column = HELP_COLUMN if width >= 60 else HELP_COLUMN_NARROW
    indent = " " * column
    if len(label) + 4 > column:
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
