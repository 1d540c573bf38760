"""What belongs to others is refused in one line, with the system's reason."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.opensloth_core.preflight.conftest import NO_TENSORS, NO_WORDS

Refused = Callable[..., str]


@pytest.fixture
def open_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder everybody may read and nobody else may write, but for the home in it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        Path(name, "home").mkdir()
        Path(name, "home").chmod(0o777)
        monkeypatch.setenv("OPENSLOTH_HOME", f"{name}/home")
        yield Path(name)


ROW = '{"question": "a", "answer": "b"}\n'


@pytest.fixture
def model(open_dir: Path) -> str:
    """A model's folder that everybody may read."""
    folder = open_dir / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text(NO_WORDS)
    (folder / "model.safetensors").write_bytes(NO_TENSORS)
    return str(folder)


def test_a_file_that_only_others_may_read(refused_to_nobody: Refused, open_dir: Path, model: str) -> None:
    path = open_dir / "train.jsonl"
    path.write_text(ROW)
    path.chmod(0o600)
    assert refused_to_nobody(data=str(path), model=model) == f"{path}: cannot be read: Permission denied"


def test_what_lies_in_a_folder_that_only_others_may_enter(
    refused_to_nobody: Refused, open_dir: Path, model: str
) -> None:
    data = open_dir / "train.jsonl"
    data.write_text(ROW)
    (open_dir / "private" / "folder").mkdir(parents=True)
    (open_dir / "private").chmod(0o700)
    inside = open_dir / "private" / "folder"
    denied = f"{inside}: cannot be read: Permission denied"
    assert refused_to_nobody(data=str(inside), model=model) == denied
    assert refused_to_nobody(data=str(data), model=str(inside)) == denied
    assert refused_to_nobody(data=str(data), model=model, output=str(inside)) == f"output {denied}"


def test_an_output_in_a_folder_of_others(refused_to_nobody: Refused, open_dir: Path, model: str) -> None:
    data = open_dir / "train.jsonl"
    data.write_text(ROW)
    output = open_dir / "out"
    assert refused_to_nobody(data=str(data), model=model, output=str(output)) == (
        f"output {output}: cannot write to {open_dir}: Permission denied"
    )


def test_a_home_of_others(
    refused_to_nobody: Refused, open_dir: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, home = open_dir / "train.jsonl", open_dir / "private"
    data.write_text(ROW)
    home.mkdir(0o700)
    monkeypatch.setenv("OPENSLOTH_HOME", str(home))
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        assert refused_to_nobody(data=str(data), model=model, output=f"{place}/out") == (
            f"OPENSLOTH_HOME {home}: cannot write to {home}: Permission denied; set it to a folder you can "
            "write"
        )
