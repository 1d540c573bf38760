"""The console scripts: a help screen at once, anything else by the program itself.

`python -m flows.cli.entry os-data …` is `os-data …`.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.help_pages import help_page

if TYPE_CHECKING:
    from flows.cli.command import Program

PROGRAMS = {
    "os-train": ("flows.cli.os_train", "OS_TRAIN"),
    "os-data": ("flows.cli.os_data", "OS_DATA"),
    "os-sft": ("flows.cli.train_prepared", "OS_SFT"),
    "os-dpo": ("flows.cli.train_prepared", "OS_DPO"),
    "os-grpo": ("flows.cli.train_prepared", "OS_GRPO"),
}
"""Module and name of each program, by what it is called."""


def program_named(name: str) -> "Program":
    """The program that a console script runs."""
    module, attribute = PROGRAMS[name]
    program: Program = getattr(import_module(module), attribute)
    return program


def start(name: str | None = None) -> None:
    """Run a program with the words of the command line, and exit.

    Args:
        name: what was called; what the console script is named, when not given.
    """
    name = name or Path(sys.argv[0]).stem
    page = help_page(name, sys.argv[1:])
    if page is not None:
        sys.stdout.write(page)
        return
    from flows.cli.main import main

    sys.exit(main(program_named(name)))


if __name__ == "__main__":
    start(sys.argv.pop(1))
