"""What a user types, and what comes back."""

import re
from pathlib import Path
from typing import Any

import pytest

from flows.cli.command import Command
from flows.cli.request import FinetuneRequest
from tests.flows.cli.typed import PROGRAMS, typed

SEED_BASIC = "os-train sft my_dataset.jsonl --model unsloth/gemma-3-4b-it --gpus 2 --epochs 3"
SEED_PATHS = """os-train sft my_dataset.jsonl \
  --model unsloth/gemma-3-4b-it \
  --gpus 4 \
  --data-output data/my_sft_dataset \
  --output models/my_sft_model \
  --epochs 5 \
  --batch-size 4 \
  --lr 2e-4
"""


COMMANDS = {
    program.called(command): command
    for program in PROGRAMS.values()
    for command in [*program.commands.values(), program.default]
    if command is not None
}


def test_the_seeds_basic_example(started: list[FinetuneRequest]) -> None:
    assert typed(SEED_BASIC) == 0
    config = started[0].config
    assert (config.data, config.model, config.gpus) == (("my_dataset.jsonl",), "unsloth/gemma-3-4b-it", 2)
    assert (config.method, config.training.epochs) == ("sft", 3.0)
    assert config.model_fields_set == {"data", "model", "gpus", "training", "method"}
    assert config.training.model_fields_set == {"epochs"}


def test_the_seeds_example_with_paths(started: list[FinetuneRequest]) -> None:
    assert typed(SEED_PATHS) == 0
    config = started[0].config
    assert (config.gpus, config.data_output) == (4, Path("data/my_sft_dataset"))
    assert config.output == Path("models/my_sft_model")
    assert (config.training.epochs, config.training.batch_size) == (5.0, 4)
    assert config.training.learning_rate == 2e-4


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_examples_in_help_are_accepted(command: Command, started: list[Any]) -> None:
    for example in command.examples:
        assert typed(example.replace("\\\n", " ")) == 0
    assert len(started) == len(command.examples)


HELP = [
    "os-train --help",
    "os-train sft --help",
    "os-train sft --help-all",
    "os-data --help-all",
    "os-train demo -h",
    "os-train sft d --help",
    "os-data --help",
    "os-data d -m x -h",
    "os-data preview -h",
    "os-data inspect --help",
]


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("line", HELP)
def test_help_goes_to_stdout_and_fits(line: str, columns: int, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert typed(line) == 0
    out, err = capsys.readouterr()
    assert err == ""
    if columns < 80:
        # Commands are shown as they are typed.
        out = "\n".join(shown for shown in out.splitlines() if not re.search("os-|--lr 1e-4", shown))
    assert max(map(len, out.splitlines())) <= min(80, columns)


@pytest.mark.parametrize(
    "called", ["os-train sft", "os-train dpo", "os-train grpo", "os-data", "os-data preview"]
)
def test_help_shows_the_ten_flags_that_matter_first_and_says_where_all_are(called: str, capsys) -> None:
    command = COMMANDS[called]
    typed(f"{called} --help")
    out = capsys.readouterr().out
    shown = [flag for flag in command.flags if f"\n  {flag.label}" in out]
    assert len(shown) == 10 < len(command.flags)
    assert {"data", "model", "gpus", "config", "preset"} <= {flag.name for flag in shown}
    assert f"All {len(command.flags)} flags: {called} --help-all" in out
    typed(f"{called} --help-all")
    out = capsys.readouterr().out
    assert all(f"\n  {flag.label}" in out for flag in command.flags)
    assert "--help-all\n" not in out


def test_all_of_sft_help_shows_settings_under_their_preferred_names_only(capsys) -> None:
    typed("os-train sft --help-all")
    out = capsys.readouterr().out
    shown = ("-m, --model MODEL", "-g, --gpus N", "--learning-rate, --lr X", "--[no-]gradient-checkpointing")
    assert all(label in out for label in shown)
    assert "when not given 2e-4" in " ".join(out.split())
    for unseen in ("--method", "--num-train-epochs", "--output-dir", "--optim ", "--model-name"):
        assert unseen not in out


def test_the_help_of_os_data_shows_its_commands_and_the_flags_of_preparing(capsys) -> None:
    typed("os-data --help-all")
    out = capsys.readouterr().out
    shown = ("os-data preview DATA", "os-data inspect KEY|PATH", "--method sft|dpo|grpo", "--map NAME=COLUMN")
    assert all(part in out for part in shown)
    assert "--lora-rank" not in out


def test_preview_has_the_flags_of_preparing_but_no_export(capsys) -> None:
    typed("os-data preview --help-all")
    out = capsys.readouterr().out
    assert "--rows N" in out and "--html FILE" in out and "--eval-size" in out
    assert "--data-output" not in out


@pytest.mark.parametrize("program", ["os-train", "os-data"])
def test_nothing_typed_shows_the_commands_and_fails(program: str, capsys) -> None:
    assert typed(program) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"usage: {program}")


@pytest.mark.parametrize("program", ["os-train", "os-data"])
def test_version(program: str, capsys) -> None:
    assert typed(f"{program} --version") == 0
    assert capsys.readouterr().out.startswith(f"{program} ")


def test_os_data_prepares_what_has_no_command_before_it(started: list[Any]) -> None:
    line = "os-data a.jsonl b.jsonl -m m --method dpo --gpus 8 --map chosen=good --map rejected=bad"
    assert typed(f"{line} --output out") == 0
    (request,) = started
    config = request.config
    assert (config.data, config.method, config.gpus) == (("a.jsonl", "b.jsonl"), "dpo", 8)
    assert config.map == {"chosen": "good", "rejected": "bad"}
    assert config.data_output == Path("out")
    assert typed("os-data --model m a.jsonl") == 0


def test_a_file_named_like_a_command_is_given_with_its_folder(started: list[Any]) -> None:
    assert typed("os-data ./preview -m m") == 0
    assert started[0].config.data == ("./preview",)


def test_a_file_named_nearly_like_a_command_is_data(
    started: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "previews").mkdir()
    assert typed("os-data previews -m m") == 0
    assert started[0].config.data == ("previews",)
