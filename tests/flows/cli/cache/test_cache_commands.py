"""`os-train cache …` as it is typed: nested commands, their help, flags, ages and sizes."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from flows.cli.cache.quantities import parse_age, parse_size
from flows.cli.command import Command, Program
from flows.cli.main import main
from flows.cli.os_train import METHODS, OS_TRAIN
from flows.cli.parser import accepted_spellings, parse_flags
from flows.cli.request import ResumeSettings, RunSettings
from flows.cli.sections import by_section

HEAVY = {"torch", "prefect", "transformers", "trl", "peft", "unsloth", "datasets", "pyarrow", "numpy", "rich"}
CACHE = OS_TRAIN.groups["cache"]
EXPLAIN = CACHE.groups["explain"]


def programs(program: Program) -> Iterator[Program]:
    yield program
    for group in program.groups.values():
        yield from programs(group)


COMMANDS = [(program, command) for program in programs(CACHE) for command in program.commands.values()]


def typed(line: str) -> int:
    return main(OS_TRAIN, shlex.split(line)[1:])


@pytest.mark.parametrize(("program", "command"), COMMANDS, ids=lambda one: one.name)
def test_the_examples_in_help_are_accepted(program: Program, command: Command) -> None:
    for example in command.examples:
        words = shlex.split(example.replace("\\\n", " "))
        called = shlex.split(program.called(command))
        assert words[: len(called)] == called
        command.configure(parse_flags(command.flags, words[len(called) :]))


@pytest.mark.parametrize(("program", "command"), COMMANDS, ids=lambda one: one.name)
def test_every_flag_has_help_and_a_section_and_json_is_everywhere(program: Program, command: Command) -> None:
    flags = command.flags
    assert all(flag.help.endswith(".") for flag in flags)
    placed = [flag.name for members in by_section(flags).values() for flag in members]
    assert sorted(placed) == sorted(flag.name for flag in flags)
    spellings = [spelling for flag in flags for spelling in accepted_spellings(flag)]
    assert "--json" in spellings and len(set(spellings)) == len(spellings)


@pytest.mark.parametrize("method", METHODS)
def test_explain_takes_the_very_arguments_of_the_training_command(method: str) -> None:
    training, explaining = METHODS[method].flags, EXPLAIN.commands[method].flags
    # All but how a run is driven, which no explanation asks.
    driving = RunSettings.model_fields.keys() - ResumeSettings.model_fields.keys()
    assert [flag for flag in explaining if flag.name != "as_json"] == [
        flag for flag in training if flag.name not in driving
    ]
    words = ["d.jsonl", "-m", "m", "--lr", "1e-4", *(["--reward", "math"] if method == "grpo" else [])]
    request, as_json = EXPLAIN.commands[method].configure(parse_flags(explaining, [*words, "--json"]))
    assert as_json is True
    assert request == METHODS[method].configure(parse_flags(training, words))


HELP = [
    "os-train cache --help",
    "os-train cache explain -h",
    "os-train cache explain sft --help",
    *(f"os-train cache {name} --help" for name in CACHE.commands),
]


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("line", HELP)
def test_help_goes_to_stdout_and_fits(line: str, columns: int, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert typed(line) == 0
    out, err = capsys.readouterr()
    assert err == ""
    shown = [text for text in out.splitlines() if not re.search("os-|--lr 1e-4", text)]
    assert max(map(len, shown)) <= columns


def test_the_overview_names_the_group_and_a_group_its_commands(capsys) -> None:
    typed("os-train --help")
    assert "  cache " in capsys.readouterr().out
    typed("os-train cache --help")
    out = capsys.readouterr().out
    assert all(f"\n  {name}" in out for name in ("ls", "show", "verify", "gc", "pin", "unpin", "explain"))
    assert typed("os-train cache") == 2
    assert capsys.readouterr().err == out


MISTAKES = {
    "os-train cahe": "os-train: unknown command 'cahe'; did you mean cache? (os-train --help)",
    "os-train cache list-all": (
        "os-train cache: unknown command 'list-all'; commands: ls, show, verify, gc, pin, unpin, explain "
        "(os-train cache --help)"
    ),
    "os-train cache exlpain": "os-train cache: unknown command 'exlpain'; did you mean explain?",
    "os-train cache --json": "flags follow it, as in os-train cache ls --json …",
    "os-train cache explain kto": "os-train cache explain: unknown method 'kto'; methods: sft, dpo, grpo",
    "os-train cache explain --json": "as in os-train cache explain sft DATA --json …",
    "os-train cache explain sft": "os-train cache explain sft: DATA: required; --model: required",
    "os-train cache explain sft d -m m --epoch 3": "unknown flag --epoch; did you mean --epochs?",
    "os-train cache show": "os-train cache show: KEY: required (os-train cache show --help)",
    "os-train cache show a b": "os-train cache show: unexpected argument 'b'",
    "os-train cache pin": "os-train cache pin: KEY: required",
    "os-train cache ls x": "os-train cache ls: unexpected argument 'x'",
    "os-train cache gc --max-age 30": "--max-age: must be an age such as 30d, 12h or 90min, got '30'",
    "os-train cache gc --max-age soon": "--max-age: must be an age such as 30d, 12h or 90min, got 'soon'",
    "os-train cache gc --max-age=-1d": "--max-age: must be an age such as 30d, 12h or 90min, got '-1d'",
    "os-train cache gc --max-size 200": "--max-size: must be a size such as 200G, 1.5TB or 500MB, got '200'",
    "os-train cache gc --max-size 3XB": "--max-size: must be a size such as 200G, 1.5TB or 500MB, got '3XB'",
    "os-train cache gc --keep -1": "--keep: must be greater than or equal to 0, got '-1'",
    "os-train cache gc --max-ages 3d": "unknown flag --max-ages; did you mean --max-age?",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_on_stderr_and_exit_2(line: str, home, capsys) -> None:
    assert typed(line) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert MISTAKES[line] in err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30d", 2_592_000), ("12h", 43_200), ("90min", 5400), ("90m", 5400), ("45s", 45), ("2w", 1_209_600),
        ("1.5 days", 129_600), (" 2 Hours ", 7200), ("0d", 0),
    ],
)  # fmt: skip
def test_ages(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("200G", 200_000_000_000), ("1.5TB", 1_500_000_000_000), ("500 MB", 500_000_000),
        ("2GiB", 2_147_483_648), ("10k", 10_000), ("512B", 512), ("0", 0), ("1g", 1_000_000_000),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("line", ["cache --help-all", "cache gc --help-all", "cache explain sft --help-all"])
def test_help_imports_nothing_heavy(line: str) -> None:
    words = ["-X", "importtime", "-m", "flows.cli", *line.split()]
    trace = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stderr
    imported = {row.rpartition("|")[2].strip().partition(".")[0] for row in trace.splitlines()}
    assert "pydantic" in imported
    assert not imported & HEAVY
