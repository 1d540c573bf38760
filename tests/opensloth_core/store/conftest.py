"""A model folder to prepare data for, a small input, and an empty store."""

import json
import shutil
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig


@pytest.fixture
def model_dir(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model without its weights, for a test to change."""
    return shutil.copytree(tiny_model_dir, tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors"))


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """30 questions that differ in one number."""
    path = tmp_path / "train.jsonl"
    rows = [{"question": f"What is {number}?", "answer": f"It is {number}."} for number in range(100, 130)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def config(data_path: Path, model_dir: Path, home: Path) -> DatasetPrepConfig:
    """Settings that prepare the input for the model into an empty store."""
    return DatasetPrepConfig(data=str(data_path), model=str(model_dir), gpus=2, max_seq_length=128)
