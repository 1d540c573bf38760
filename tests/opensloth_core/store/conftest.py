"""A model folder to prepare data for, a small input, and an empty store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.runs.events import Progress, no_progress
from opensloth_core.store.artifact import MANIFEST
from opensloth_core.store.prepared import prepare, prepared_dir, prepared_key

Files = dict[str, bytes]


@pytest.fixture
def model_dir(byte_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the model's folder, for a test to change."""
    return shutil.copytree(byte_model_dir, tmp_path / "model")


@pytest.fixture
def data_path(tmp_path: Path) -> Path:
    """30 questions that differ in one number."""
    path = tmp_path / "train.jsonl"
    rows = [{"question": f"What is {number}?", "answer": f"It is {number}."} for number in range(100, 130)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def config(data_path: Path, model_dir: Path, home: Path, quick_setup: None) -> DatasetPrepConfig:
    """Settings that prepare the input for the model into an empty store."""
    return DatasetPrepConfig(data=str(data_path), model=str(model_dir), gpus=2, max_seq_length=128)


@pytest.fixture
def prepared_files() -> Callable[..., Files]:
    """Prepares into the store as it is; the files of the artifact but its manifest."""

    def run(config: DatasetPrepConfig, num_shards: int = 2, progress: Progress = no_progress) -> Files:
        model_dir = Path(config.model)
        key = prepared_key(config, model_dir, num_shards)
        prepare(config, model_dir, num_shards, key, progress)
        folder = prepared_dir(key.digest)
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != MANIFEST}

    return run


@pytest.fixture
def cold_files(
    prepared_files: Callable[..., Files], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Files]:
    """Prepares into an empty store of its own; the files of the artifact but its manifest."""

    def run(config: DatasetPrepConfig, num_shards: int = 2) -> Files:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPENSLOTH_HOME", str(tmp_path_factory.mktemp("cold")))
            return prepared_files(config, num_shards)

    return run
