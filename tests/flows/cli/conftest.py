"""What the tests of command lines share."""

from dataclasses import replace
from typing import Any

import pytest

from flows.cli.command import Program
from tests.flows.cli.typed import PROGRAMS


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the commands would run with; nothing runs."""
    settings: list[Any] = []

    def record(given: Any) -> int:
        settings.append(given)
        return 0

    def recording(program: Program) -> Program:
        commands = {name: replace(command, run=record) for name, command in program.commands.items()}
        default = replace(program.default, run=record) if program.default else None
        return replace(program, commands=commands, default=default)

    for name, program in list(PROGRAMS.items()):
        monkeypatch.setitem(PROGRAMS, name, recording(program))
    return settings
