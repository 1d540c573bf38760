from pathlib import Path
from typing import Any

import pytest

from opensloth_core.data.load_tokenizer import load_tokenizer
from opensloth_core.errors import ModelError


def test_a_folders_tokenizer_is_loaded_with_its_template(tmp_path: Path, tokenizer: Any) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.chat_template == tokenizer.chat_template
    assert loaded.encode("It is 3.", add_special_tokens=False) == tokenizer.encode(
        "It is 3.", add_special_tokens=False
    )


def test_a_folder_without_a_tokenizer_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_tokenizer(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no tokenizer can be loaded from this folder: it has no tokenizer.json; "
        "give a folder with the model's tokenizer.json and tokenizer_config.json"
    )
