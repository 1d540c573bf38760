import json
import time
from pathlib import Path

from opensloth_core.data.encode_setup import read_setup
from opensloth_core.store.setup_memory import remembered_setup


def the_memory(home: Path) -> Path:
    (path,) = (home / "store" / "tokenizers").glob("*.json")
    return path


def test_a_remembered_setup_is_the_one_that_was_read(model_dir: Path, home: Path) -> None:
    read = read_setup(model_dir, "assistant", True)
    assert remembered_setup(model_dir, "assistant", True, {"tokenizer": "a"}) == read
    began = time.perf_counter()
    assert remembered_setup(model_dir, "assistant", True, {"tokenizer": "a"}) == read
    assert time.perf_counter() - began < 0.5
    the_memory(home)


def test_a_damaged_or_changed_memory_is_read_anew(model_dir: Path, home: Path, quick_setup: None) -> None:
    first = remembered_setup(model_dir, "assistant", True, {})
    memory = json.loads(the_memory(home).read_text())
    memory["setup"]["template"]["source"] = "{{ messages }}"
    for harm in ("{", json.dumps(memory)):
        the_memory(home).write_text(harm)
        assert remembered_setup(model_dir, "assistant", True, {}) == first
        assert json.loads(the_memory(home).read_text())["setup"]["train_on"] == "assistant"


def test_other_settings_are_another_setup(model_dir: Path, home: Path, quick_setup: None) -> None:
    assert remembered_setup(model_dir, "assistant", True, {"code": "1"}).train_on == "assistant"
    assert remembered_setup(model_dir, "all", True, {"code": "1"}).train_on == "all"
    assert len(list((home / "store" / "tokenizers").glob("*.json"))) == 2
