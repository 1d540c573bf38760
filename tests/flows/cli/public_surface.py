"""Every command with all spellings of its flags, one a line: what users' scripts rely on.

`python -m tests.flows.cli.public_surface` writes `public_surface.txt` anew.
"""

from collections.abc import Iterator
from pathlib import Path

from flows.cli.command import Command, Program
from flows.cli.entry import PROGRAMS, program_named
from flows.cli.parser import accepted_spellings

LISTING = Path(__file__).with_name("public_surface.txt")


def commands(program: Program, called: str) -> Iterator[tuple[str, Command]]:
    """Every command of a program with the words that call it."""
    if program.default is not None:
        yield called, program.default
    for name, command in program.commands.items():
        yield f"{called} {name}", command
    for name, group in program.groups.items():
        yield from commands(group, f"{called} {name}")


def public_surface() -> str:
    """The listing."""
    lines = []
    for name in PROGRAMS:
        for called, command in commands(program_named(name), name):
            lines.append(called)
            for flag in command.flags:
                words = [*([] if flag.spellings else [flag.metavar]), *accepted_spellings(flag)]
                lines.append(f"  {' '.join(words)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    LISTING.write_text(public_surface())
