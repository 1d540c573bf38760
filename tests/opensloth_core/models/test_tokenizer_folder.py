"""Which tokenizer data is prepared with when a run starts from an adapter."""

import shutil
from pathlib import Path

import pytest

from opensloth_core.models.tokenizer import copy_tokenizer, tokenizer_folder
from opensloth_core.store.tokenizer_files import tokenizer_parts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An adapter's folder, as far as a tokenizer is concerned."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    return folder


def test_an_adapter_with_the_base_s_tokenizer_shares_its_prepared_data(
    folder: Path, byte_model_dir: Path, home: Path
) -> None:
    copy_tokenizer(byte_model_dir, folder)
    assert (folder / "tokenizer.json").is_file()
    assert tokenizer_folder(folder, byte_model_dir) == byte_model_dir
    assert not home.exists()


def test_a_template_alone_is_no_tokenizer(folder: Path, byte_model_dir: Path, home: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert tokenizer_folder(folder, byte_model_dir) == byte_model_dir


def test_an_adapter_s_own_tokenizer_comes_with_the_configuration_of_its_base(
    folder: Path, byte_model_dir: Path, home: Path
) -> None:
    copy_tokenizer(byte_model_dir, folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    found = tokenizer_folder(folder, byte_model_dir)
    assert found.is_relative_to(home)
    assert found.name == byte_model_dir.name
    assert (found / "chat_template.jinja").read_text() == "{{ messages }}"
    base, own = tokenizer_parts(byte_model_dir), tokenizer_parts(found)
    assert {name for name in base if base[name] != own[name]} == {"tokenizer: chat_template.jinja"}
    assert tokenizer_folder(folder, byte_model_dir) == found


def test_a_tokenizer_is_copied_byte_for_byte_and_nothing_else(
    folder: Path, byte_model_dir: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(byte_model_dir, tmp_path / "source"))
    (source / "additional_chat_templates").mkdir()
    (source / "additional_chat_templates" / "tool_use.jinja").write_text("t")
    (source / "model.safetensors").write_text("weights")
    copy_tokenizer(source, folder)
    copied = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert copied == {
        "additional_chat_templates/tool_use.jinja",
        "chat_template.jinja",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert all((folder / name).read_bytes() == (source / name).read_bytes() for name in copied)
