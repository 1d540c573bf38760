"""What counts as a model's tokenizer when data is looked for."""

import json
from pathlib import Path

import pytest

from opensloth_core.errors import ModelError
from opensloth_core.store.tokenizer_files import TOKENIZER_FILES, tokenizer_parts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with every file a tokenizer may consist of."""
    for name in TOKENIZER_FILES:
        (tmp_path / name).write_text(name)
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "tools.jinja").write_text("tools")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path


@pytest.mark.parametrize("name", [*TOKENIZER_FILES, "additional_chat_templates/tools.jinja"])
def test_each_tokenizer_file_counts(folder: Path, name: str) -> None:
    before = tokenizer_parts(folder)
    (folder / name).write_text("other")
    edited = tokenizer_parts(folder)
    assert edited.keys() == before.keys()
    assert [part for part in before if before[part] != edited[part]] == [f"tokenizer: {Path(name).name}"]
    (folder / name).unlink()
    assert tokenizer_parts(folder).keys() == before.keys() - {f"tokenizer: {Path(name).name}"}


@pytest.mark.parametrize(
    ("setting", "part"), [("model_type", "tokenizer: model type"), ("tokenizer_class", "tokenizer: class")]
)
def test_what_picks_the_tokenizer_s_class_counts(folder: Path, setting: str, part: str) -> None:
    before = tokenizer_parts(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, setting: "other"}))
    assert tokenizer_parts(folder) == {**before, part: "other"}


def test_weights_and_the_rest_of_the_configuration_do_not_count(folder: Path) -> None:
    before = tokenizer_parts(folder)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text('{"model_type": "llama", "hidden_size": 64}')
    assert tokenizer_parts(folder) == before


def test_the_folder_s_place_does_not_count(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = tokenizer_parts(folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "model"
    folder.rename(elsewhere)
    assert tokenizer_parts(elsewhere) == before


def message_for(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        tokenizer_parts(folder)
    return str(caught.value)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert message_for(tmp_path) == (
        f"{tmp_path}: no tokenizer in this folder (no tokenizer.json or tokenizer.model)"
    )


def test_a_folder_without_a_configuration_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert message_for(folder) == f"{folder}: not a model folder (it has no config.json)"


def test_a_torn_configuration_is_named(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "lla')
    assert message_for(folder) == (
        f"{folder / 'config.json'}: not valid JSON: "
        "Unterminated string starting at: line 1 column 16 (char 15)"
    )
