"""Rewards that do not exist, or that the data gives nothing to score by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, DataError
from opensloth_core.preflight import refuse_impossible

Refused = Callable[..., str]


@pytest.fixture
def grpo(data: Path) -> dict[str, Any]:
    """Settings of a GRPO run whose data has prompts and answers."""
    data.write_text('{"prompt": "1 + 1?", "answer": "2"}\n')
    return {"method": "grpo", "grpo": {"reward": "exact"}}


def test_a_reward_whose_column_is_there_passes(values: dict[str, Any], grpo: dict[str, Any]) -> None:
    assert refuse_impossible(OpenSlothConfig.of(values | grpo)) == ("cpu",)


def test_an_unknown_reward(refused: Refused, grpo: dict[str, Any]) -> None:
    message = refused(ConfigError, **grpo | {"grpo": {"reward": "exakt"}})
    assert message.startswith("reward exakt: no such reward; did you mean exact?")


def test_a_reward_whose_column_is_missing(refused: Refused, grpo: dict[str, Any], data: Path) -> None:
    data.write_text(json.dumps({"prompt": "1 + 1?", "level": 3}) + "\n")
    message = refused(ConfigError, **grpo)
    assert message.startswith("reward exact: the data has no column answer, solution, ")
    assert "columns: level." in message


def test_a_column_that_is_null_in_every_row_is_missing(
    refused: Refused, grpo: dict[str, Any], data: Path
) -> None:
    data.write_text(json.dumps({"prompt": "1 + 1?", "answer": None}) + "\n")
    assert refused(ConfigError, **grpo).startswith("reward exact: the data has no column answer, ")


def test_a_row_that_a_reward_cannot_use_is_named(refused: Refused, grpo: dict[str, Any], data: Path) -> None:
    rows = [{"prompt": "a", "answer": "2"}, {"prompt": "b", "answer": {"value": [1]}}]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert refused(DataError, **grpo).startswith("train.jsonl:2: reward exact: ")
