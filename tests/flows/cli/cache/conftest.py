"""A home with a small data set prepared, for commands that look at the store."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.api import PreparedData, run_prepare_data

Prepare = Callable[..., PreparedData]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("OPENSLOTH_STORE", raising=False)


@pytest.fixture
def data(tmp_path: Path, chat_data: Path) -> Path:
    """A copy of the sample, for a test to change."""
    path = tmp_path / "colours.jsonl"
    path.write_bytes(chat_data.read_bytes())
    return path


@pytest.fixture(scope="session")
def prepare() -> Prepare:
    """Prepares a file for a model."""

    def run(data: Path, model: Path, gpus: int = 1) -> PreparedData:
        return run_prepare_data({"data": str(data), "model": str(model), "gpus": gpus, "max_seq_length": 192})

    return run


@pytest.fixture(scope="session")
def prepared_once(
    tmp_path_factory: pytest.TempPathFactory, chat_data: Path, tiny_model_dir: Path, prepare: Prepare
) -> tuple[Path, PreparedData]:
    """A home with the sample prepared; reading a tokenizer for the first time takes seconds."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSLOTH_HOME", str(home))
        return home, prepare(chat_data, tiny_model_dir)


@pytest.fixture
def prepared(home: Path, prepared_once: tuple[Path, PreparedData]) -> PreparedData:
    """The sample, prepared in a home of this test's own."""
    shutil.copytree(prepared_once[0], home)
    return prepared_once[1]
