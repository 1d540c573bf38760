"""The example commands of the request this project began with, word for word, and what they come to."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from flows.cli.request import FinetuneRequest
from opensloth_core.config.opensloth import OpenSlothConfig

BASIC = "os-train sft my_dataset.jsonl --model unsloth/gemma-3-4b-it --gpus 2 --epochs 3"

PATHS = """os-train sft my_dataset.jsonl \
  --model unsloth/gemma-3-4b-it \
  --gpus 4 \
  --data-output data/my_sft_dataset \
  --output models/my_sft_model \
  --epochs 5 \
  --batch-size 4 \
  --lr 2e-4
"""

DPO = """os-train dpo preference_data.jsonl \
  --model unsloth/gemma-3-4b-it \
  --gpus 2 \
  --epochs 1 \
  --tmux  # Use tmux for multi-GPU
"""

GRPO = """os-train grpo math_problems.jsonl \
  --model unsloth/qwen2.5-7b-instruct \
  --gpus 4 \
  --samples 1000 \
  --max-seq-length 2048
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Types a line; gives what the command would run with."""
    requests: list[FinetuneRequest] = []

    def record(request: FinetuneRequest) -> int:
        requests.append(request)
        return 0

    commands = {name: replace(command, run=record) for name, command in OS_TRAIN.commands.items()}
    program = replace(OS_TRAIN, commands=commands)

    def typed(line: str) -> FinetuneRequest:
        _, *words = shlex.split(line, comments=True)
        assert main(program, words) == 0
        return requests.pop()

    return typed


def given(config: OpenSlothConfig) -> dict[str, Any]:
    """What differs from the defaults."""
    return config.model_dump(exclude_unset=True)


def test_basic(asked: Any) -> None:
    assert given(asked(BASIC).config) == {
        "data": ("my_dataset.jsonl",),
        "model": "unsloth/gemma-3-4b-it",
        "gpus": 2,
        "method": "sft",
        "training": {"epochs": 3.0},
    }


def test_custom_output_paths(asked: Any) -> None:
    assert given(asked(PATHS).config) == {
        "data": ("my_dataset.jsonl",),
        "model": "unsloth/gemma-3-4b-it",
        "gpus": 4,
        "data_output": Path("data/my_sft_dataset"),
        "output": Path("models/my_sft_model"),
        "method": "sft",
        "training": {"epochs": 5.0, "batch_size": 4, "learning_rate": 2e-4},
    }


def test_dpo_in_tmux(asked: Any) -> None:
    request = asked(DPO)
    assert request.tmux == "auto"
    assert given(request.config) == {
        "data": ("preference_data.jsonl",),
        "model": "unsloth/gemma-3-4b-it",
        "gpus": 2,
        "method": "dpo",
        "training": {"epochs": 1.0},
    }


def test_grpo_scores_answers_to_mathematics_where_no_reward_is_named(asked: Any) -> None:
    config = asked(GRPO).config
    assert given(config) == {
        "data": ("math_problems.jsonl",),
        "model": "unsloth/qwen2.5-7b-instruct",
        "gpus": 4,
        "samples": 1000,
        "max_seq_length": 2048,
        "method": "grpo",
    }
    assert [str(choice) for choice in config.grpo.reward] == ["math"]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("os-train --help", "os-train sft my_data.jsonl"),
        ("os-train sft --help", "usage: os-train sft DATA"),
        ("os-train dpo --help", "usage: os-train dpo DATA"),
    ],
)
def test_help(line: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, *words = shlex.split(line)
    assert main(OS_TRAIN, words) == 0
    assert part in capsys.readouterr().out
