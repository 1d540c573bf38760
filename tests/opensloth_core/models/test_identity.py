import os
import shutil
from pathlib import Path

import pytest

from opensloth_core.errors import ModelError
from opensloth_core.models.identity import model_identity


def model(folder: Path, weights: bytes) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_a_model_keeps_its_identity_when_it_is_copied_or_touched(tmp_path: Path) -> None:
    original = model(tmp_path / "a", os.urandom(50_000))
    copy = shutil.copytree(original, tmp_path / "b")
    os.utime(copy / "model.safetensors", (1, 1))
    (copy / "README.md").write_text("of no weight")
    assert model_identity(copy) == model_identity(original)


def test_other_weights_of_the_same_size_are_another_model(tmp_path: Path) -> None:
    # Trained weights differ nearly everywhere; here every hundredth byte of 10 MB, 4 MB of which are read.
    weights = bytearray(os.urandom(10_000_000))
    original = model(tmp_path / "a", bytes(weights))
    weights[::100] = bytes(byte ^ 1 for byte in weights[::100])
    assert model_identity(model(tmp_path / "b", bytes(weights))) != model_identity(original)


@pytest.mark.parametrize("change", ["first", "last", "config", "adapter", "longer"])
def test_every_part_counts(change: str, tmp_path: Path) -> None:
    folder = model(tmp_path / "a", bytes(5000))
    before = model_identity(folder)
    content = bytearray(bytes(5000))
    if change == "config":
        (folder / "config.json").write_text('{"model_type": "qwen3"}')
    elif change == "adapter":
        (folder / "adapter_config.json").write_text("{}")
    elif change == "longer":
        (folder / "model.safetensors").write_bytes(bytes(5001))
    else:
        content[0 if change == "first" else -1] = 1
        (folder / "model.safetensors").write_bytes(content)
    assert model_identity(folder) != before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone: the model cannot be read: No such file"):
        model_identity(tmp_path / "gone")
