from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.data import load_tokenizer as module
from opensloth_core.data.load_tokenizer import load_tokenizer, tokenizer_fingerprint
from opensloth_core.errors import ModelError

Make = Callable[..., Any]


def test_a_folders_tokenizer_is_loaded_with_its_template(tmp_path: Path, tokenizer: Any) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path))
    assert tokenizer_fingerprint(loaded)["chat_template"] == tokenizer_fingerprint(tokenizer)["chat_template"]
    assert loaded.encode("It is 3.", add_special_tokens=False) == tokenizer.encode(
        "It is 3.", add_special_tokens=False
    )


@pytest.mark.parametrize("model", ["/no/such/folder", "./none", "a/b/c"])
def test_a_path_that_is_no_folder_is_one_clear_line(model: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_tokenizer(model)
    assert str(caught.value) == f"{model}: no such model folder, and no hub id (organisation/name) either"


def test_a_hub_id_that_cannot_be_reached_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_is_hub_known", lambda: False)
    with pytest.raises(ModelError) as caught:
        load_tokenizer("no-such-org-5d1f/model")
    assert str(caught.value) == (
        "no-such-org-5d1f/model: no such model folder, and not a hub id that can be reached; "
        "check the name, or download the model and give its folder"
    )


def test_a_folder_without_a_tokenizer_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_tokenizer(str(tmp_path))
    assert str(caught.value) == (
        f"{tmp_path}: no tokenizer can be loaded from this folder: it has no tokenizer.json; "
        "give a folder with the model's tokenizer.json and tokenizer_config.json"
    )


def test_the_fingerprint_changes_with_vocabulary_template_and_special_tokens(make_tokenizer: Make) -> None:
    base = tokenizer_fingerprint(make_tokenizer())
    assert base == tokenizer_fingerprint(make_tokenizer())

    def changed(tokenizer: Any) -> set[str]:
        other = tokenizer_fingerprint(tokenizer)
        return {part for part in base if base[part] != other[part]}

    assert changed(make_tokenizer("{{ messages }}")) == {"chat_template"}
    assert changed(make_tokenizer(pad_token="<|endoftext|>")) == {"special_tokens"}
    grown = make_tokenizer()
    grown.add_tokens(["sloth"])
    assert changed(grown) == {"tokenizer"}


def test_using_a_tokenizer_leaves_its_fingerprint(make_tokenizer: Make) -> None:
    tokenizer = make_tokenizer()
    before = tokenizer_fingerprint(tokenizer)
    tokenizer("a b c", truncation=True, max_length=2, padding="max_length")
    assert tokenizer_fingerprint(tokenizer) == before
