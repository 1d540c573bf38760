"""What a user types, and what comes back."""

import pickle
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.cli import main as cli
from flows.cli.commands import COMMANDS
from flows.cli.main import main
from flows.cli.parser import UsageError
from opensloth_core.config.opensloth import OpenSlothConfig

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


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the commands would run with; nothing runs."""
    settings: list[Any] = []

    def record(given: Any) -> int:
        settings.append(given)
        return 0

    recording = {name: replace(command, run=record) for name, command in COMMANDS.items()}
    monkeypatch.setattr(cli, "COMMANDS", recording)
    return settings


def typed(line: str) -> int:
    program, *words = shlex.split(line)
    assert program == "os-train"
    return main(words)


def test_the_seeds_basic_example(started: list[OpenSlothConfig]) -> None:
    assert typed(SEED_BASIC) == 0
    (config,) = started
    assert (config.data, config.model, config.gpus) == ("my_dataset.jsonl", "unsloth/gemma-3-4b-it", 2)
    assert (config.method, config.training.epochs) == ("sft", 3.0)
    assert config.model_fields_set == {"data", "model", "gpus", "training", "method"}
    assert config.training.model_fields_set == {"epochs"}


def test_the_seeds_example_with_paths(started: list[OpenSlothConfig]) -> None:
    assert typed(SEED_PATHS) == 0
    (config,) = started
    assert (config.gpus, config.data_output) == (4, Path("data/my_sft_dataset"))
    assert config.output == Path("models/my_sft_model")
    assert (config.training.epochs, config.training.batch_size) == (5.0, 4)
    assert config.training.learning_rate == 2e-4


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_examples_in_help_are_accepted(command, started: list[Any]) -> None:
    for example in command.examples:
        assert typed(example.replace("\\\n", " ")) == 0
    assert len(started) == len(command.examples)


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("words", [["--help"], ["sft", "--help"], ["demo", "-h"], ["sft", "d", "--help"]])
def test_help_goes_to_stdout_and_fits(words, columns, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    prose = [line for line in out.splitlines() if "os-train " not in line and "--samples 1000" not in line]
    assert max(map(len, prose)) <= min(80, columns)
    if columns >= 80:
        assert max(map(len, out.splitlines())) <= 80


def test_sft_help_shows_every_setting_under_its_preferred_name_only(capsys) -> None:
    main(["sft", "--help"])
    out = capsys.readouterr().out
    shown = ("-m, --model MODEL", "-g, --gpus N", "--learning-rate, --lr X", "--[no-]gradient-checkpointing")
    assert all(label in out for label in shown)
    assert "(default 0.0002)" in out
    for unseen in ("--method", "--num-train-epochs", "--output-dir", "--optim ", "--model-name"):
        assert unseen not in out


def test_nothing_typed_shows_the_commands_and_fails(capsys) -> None:
    assert main([]) == 2
    assert "os-train sft" in capsys.readouterr().err


def test_version(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("os-train ")


D = "os-train sft d.jsonl -m m"
MISTAKES = {
    "os-train kto d.jsonl": "os-train: unknown method 'kto'; methods: sft (os-train --help)",
    "os-train stf d.jsonl": "os-train: unknown method 'stf'; did you mean sft? (os-train --help)",
    "os-train deom": "os-train: unknown method 'deom'; did you mean demo? (os-train --help)",
    "os-train dpo d.jsonl": "method 'dpo' is not available yet in this version; available: sft",
    "os-train grpo d.jsonl": "method 'grpo' is not available yet in this version; available: sft",
    "os-train --gpus 2 sft d.jsonl": "flag --gpus stands before the command",
    "os-train sft": "os-train sft: DATA: required; --model: required (os-train sft --help)",
    "os-train sft --epoch 3 d.jsonl": "os-train sft: unknown flag --epoch; did you mean --epochs?",
    f"{D} --max_seq_length 3": "unknown flag --max_seq_length; did you mean --max-seq-length?",
    f"{D} --ep 3": "unknown flag --ep (os-train sft --help)",
    f"{D} --bogus=1": "unknown flag --bogus (os-train sft --help)",
    f"{D} -x 1": "unknown flag -x (os-train sft --help)",
    f"{D} --method sft": "unknown flag --method",
    f"{D} --lr": "os-train sft: --lr needs a value",
    f"{D} --lr --epochs 3": "os-train sft: --lr needs a value",
    f"{D} --gradient-checkpointing=1": "--gradient-checkpointing takes no value",
    f"{D} other.jsonl": "unexpected argument 'other.jsonl'",
    f"{D} --input other.jsonl": "DATA is given twice",
    f"{D} --gpus 0": "os-train sft: --gpus: at least 1 GPU is needed, got '0' (os-train sft --help)",
    f"{D} --gpus -1": "--gpus: at least 1 GPU is needed, got '-1'",
    f"{D} --gpus two": "--gpus: give a number of GPUs (2), device ids (0,3) or \"auto\", got 'two'",
    f"{D} --gpus 0,0": "--gpus: each device id may be named once, got '0,0'",
    f"{D} --lr fast": "--learning-rate: must be a number, got 'fast'",
    f"{D} --lr inf": "--learning-rate: must be finite, got 'inf'",
    f"{D} --batch-size 2.5": "--batch-size: must be a whole number, got '2.5'",
    f"{D} --dtype float16": "--dtype: must be 'auto', 'bfloat16' or 'float32', got 'float16'",
    f"{D} --max-rejected 300%": "--max-rejected: must be less than or equal to 1, got '300%'",
    f"{D} --max-rejected x%": "--max-rejected: must be a share such as 0.01 or 1%, got 'x%'",
    f"{D} --target-modules ,": "--target-modules:",
    f"{D} -b 4 --gradient-accumulation-steps 3 --global-batch-size 10": (
        "os-train sft: --global-batch-size 10 is not a multiple of --batch-size 4 x "
        "--gradient-accumulation-steps 3; give one of the two"
    ),
    f"{D} --epochs 0 --lr x": "must be greater than 0, got '0'; --learning-rate: must be a number, got 'x'",
    "os-train demo --gpus 3": "os-train demo: --gpus: must be less than or equal to 2, got '3'",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line_on_stderr_and_exit_2(line: str, started: list[Any], capsys) -> None:
    assert typed(line) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), started) == ("", 1, [])
    assert MISTAKES[line] in err
    assert err.startswith("os-train") and "training." not in err


def test_usage_errors_survive_pickling() -> None:
    assert str(pickle.loads(pickle.dumps(UsageError("unknown flag --x")))) == "unknown flag --x"
