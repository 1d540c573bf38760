"""Command lines as a user types them."""

import shlex

from flows.cli.main import main
from flows.cli.os_data import OS_DATA
from flows.cli.os_train import OS_TRAIN

PROGRAMS = {program.name: program for program in (OS_TRAIN, OS_DATA)}


def typed(line: str) -> int:
    """Run one; its exit code."""
    program, *words = shlex.split(line)
    return main(PROGRAMS[program], words)
