"""Renders every help screen: `python -m flows.cli.freeze_help` writes `help_pages.json` anew."""

import json
import os
from collections.abc import Iterator

from flows.cli.command import Program
from flows.cli.entry import PROGRAMS, program_named
from flows.cli.help import command_help, overview
from flows.cli.help_pages import PAGES, WIDEST


def rendered() -> dict[str, str]:
    """Every screen of `--help`, by the words before it."""
    return {called: page for name in PROGRAMS for called, page in _pages(program_named(name))}


def _pages(program: Program) -> Iterator[tuple[str, str]]:
    yield program.name, overview(program)
    for command in program.commands.values():
        called = program.called(command)
        yield called, command_help(command, called)
    for group in program.groups.values():
        yield from _pages(group)


if __name__ == "__main__":
    os.environ["COLUMNS"] = str(WIDEST)
    PAGES.write_text(json.dumps(rendered(), indent=1, ensure_ascii=False) + "\n")
