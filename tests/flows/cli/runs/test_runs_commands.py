"""`os-train runs …`, `repro` and `doctor` as they are typed: examples, help, refusals; nothing heavy."""

import re
import shlex
import subprocess
import sys

import pytest

from flows.cli.doctor import DOCTOR
from flows.cli.os_train import OS_TRAIN
from flows.cli.parser import parse_flags
from flows.cli.runs.program import REPRO, RUNS

HEAVY = {"torch", "prefect", "transformers", "trl", "peft", "unsloth", "datasets", "pyarrow", "numpy", "rich"}
COMMANDS = [*((RUNS, command) for command in RUNS.commands.values()), (OS_TRAIN, REPRO), (OS_TRAIN, DOCTOR)]


@pytest.mark.parametrize(("program", "command"), COMMANDS, ids=lambda one: one.name)
def test_the_examples_in_help_are_accepted_and_help_fits(program, command, typed) -> None:
    for example in command.examples:
        words = shlex.split(example)
        called = shlex.split(program.called(command))
        assert words[: len(called)] == called
        command.configure(parse_flags(command.flags, words[len(called) :]))
    code, out, err = typed(f"{program.called(command)} --help")
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines() if "os-train" not in line) <= 80
    assert all(flag.help.endswith(".") for flag in command.flags)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("runs", "usage: os-train runs"),
        ("runs lss", "unknown command 'lss'; did you mean ls?"),
        ("runs wait", "RUN: required"),
        ("runs rm", "RUN: required"),
        ("runs logs last --rank -1", "--rank"),
        ("runs logs last --rank 0 --preparation", "no such run in"),
        ("runs ls --state done", "--state: must be"),
        ("runs wait last last", "unexpected argument 'last'"),
        ("repro", "RUN: required"),
    ],
)
def test_mistakes_are_answered_with_exit_code_2(line, words, home, typed) -> None:
    code, out, err = typed(f"os-train {line}")
    assert (code, out) == (2, "")
    assert words in err


def test_listing_imports_nothing_heavy(home) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "flows.cli", "runs", "ls"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "pydantic" in imported and not imported & HEAVY
    assert re.fullmatch(r"No runs in .*\.\n", done.stdout)
