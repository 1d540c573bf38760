import json
from pathlib import Path

import pytest

from opensloth_core.api import run_prepare_data
from opensloth_core.errors import ConfigError
from opensloth_core.preparers import GemmaDatasetPreparer, QwenDatasetPreparer


@pytest.fixture
def qwen_dir(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """The tiny model, as if it were a Qwen."""
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny_model_dir.iterdir():
        (folder / path.name).symlink_to(path)
    config = json.loads((tiny_model_dir / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "qwen2"}))
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSLOTH_HOME", str(tmp_path / "home"))


def test_a_familys_preparer_prepares_what_run_prepare_data_does(qwen_dir: Path, chat_data: Path) -> None:
    config = {"data": str(chat_data), "model": str(qwen_dir), "gpus": 1}
    prepared = QwenDatasetPreparer(config).prepare()
    again = run_prepare_data(config)
    assert again.cached
    assert again.manifest.key == prepared.manifest.key


def test_a_model_of_another_family_is_refused_before_anything_is_prepared(
    qwen_dir: Path, chat_data: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        GemmaDatasetPreparer({"data": str(chat_data), "model": str(qwen_dir), "gpus": 1}).prepare()
    assert str(caught.value) == (
        f"model {qwen_dir}: GemmaDatasetPreparer prepares data for gemma models, and this one is qwen2; "
        "use run_prepare_data, which takes any"
    )


def test_a_preparers_settings_are_checked_when_it_is_made(chat_data: Path) -> None:
    with pytest.raises(ConfigError, match="no such setting"):
        QwenDatasetPreparer({"data": str(chat_data), "model": "embedded", "max_len": 3})
