"""The console scripts: a help screen at once, anything else by the program itself.

`python -m flows.cli.entry os-data …` is `os-data …`.
"""

import os
import sys
from contextlib import suppress
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

    _leave(main(program_named(name)))


def _leave(code: int) -> None:
    """Exit; at once where Prefect has left what it would try for minutes to tell a server that is gone."""
    known = sys.modules.get("tasks.server_gone")
    if known is not None and known.was_gone():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    start(sys.argv.pop(1))
