"""What decides the key of prepared data, and what does not."""

import os
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import ModelError
from opensloth_core.store.prepared import (
    prepared_key,
)


def key_of(config: DatasetPrepConfig, num_shards: int = 2, **changes: object) -> str:
    """The key of some settings with some of them changed."""
    return prepared_key(config.model_copy(update=changes), Path(config.model), num_shards).digest


def test_the_key_names_everything_it_is_made_of(config: DatasetPrepConfig) -> None:
    parts = prepared_key(config, Path(config.model), 2).parts
    assert {name: value for name, value in parts.items() if len(value) < 64} == {
        "method": "sft",
        "map": "{}",
        "train_on": "assistant",
        "GPU count": "2",
        "max_seq_length": "128",
        "overlong": "drop",
        "samples": "all",
        "eval_size": "none",
        "max_rejected": "0.01",
        "tokenizer: model type": "llama",
        "tokenizer: class": "None",
        "code_version": "1",
        "tokenizers": parts["tokenizers"],
        "transformers": parts["transformers"],
        "jinja2": parts["jinja2"],
    }
    assert {"input", "code", "tokenizer: tokenizer.json", "tokenizer: chat_template.jinja"} < parts.keys()


def test_a_touched_input_keeps_the_key(config: DatasetPrepConfig) -> None:
    before = key_of(config)
    os.utime(config.data[0], (1, 1))
    assert key_of(config) == before


def test_a_renamed_input_keeps_the_key(config: DatasetPrepConfig, tmp_path: Path) -> None:
    before = key_of(config)
    renamed = Path(config.data[0]).rename(tmp_path / "renamed.json")
    assert key_of(config, data=(str(renamed),)) == before


def test_a_model_folder_elsewhere_keeps_the_key(config: DatasetPrepConfig, tmp_path: Path) -> None:
    before = key_of(config)
    moved = Path(config.model).rename(tmp_path / "moved")
    assert key_of(config.model_copy(update={"model": str(moved)})) == before


def test_one_edited_character_changes_the_key(config: DatasetPrepConfig) -> None:
    path = Path(config.data[0])
    before, times = key_of(config), path.stat()
    path.write_text(path.read_text().replace("It is 117.", "It is 118."))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as an editor that keeps times would
    assert path.stat().st_size == times.st_size
    assert key_of(config) != before


def test_another_gpu_count_changes_the_key(config: DatasetPrepConfig) -> None:
    assert len({key_of(config, num_shards) for num_shards in (1, 2, 3)}) == 3


def test_which_gpus_and_where_it_is_exported_do_not_change_the_key(config: DatasetPrepConfig) -> None:
    assert key_of(config, gpus=(0, 3), data_output=Path("copy")) == key_of(config, gpus=2)


def test_another_chat_template_changes_the_key(config: DatasetPrepConfig) -> None:
    before = key_of(config)
    template = Path(config.model) / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert key_of(config) != before


def test_the_seed_counts_only_where_rows_are_drawn_with_it(config: DatasetPrepConfig) -> None:
    assert key_of(config, seed=1) == key_of(config, seed=2)
    assert key_of(config, samples=5, seed=1) != key_of(config, samples=5, seed=2)
    assert key_of(config, samples=5, seed=1) == key_of(config, samples=5, seed=1)
    head = {"samples": 5, "samples_from": "head"}
    assert key_of(config, **head, seed=1) == key_of(config, **head, seed=2)
    assert key_of(config, eval_size=0.1, seed=1) != key_of(config, eval_size=0.1, seed=2)


def test_a_share_means_the_same_however_it_is_written(config: DatasetPrepConfig) -> None:
    values = {"data": config.data, "model": config.model}
    for setting in ("max_rejected", "eval_size"):
        shares = [DatasetPrepConfig.of({**values, setting: share}) for share in ("1%", 0.01, "0.01")]
        assert len({key_of(share) for share in shares}) == 1


def test_the_order_of_the_map_does_not_change_the_key(config: DatasetPrepConfig) -> None:
    names = {"question": "question", "answer": "answer"}
    backwards = dict(reversed(names.items()))
    assert key_of(config, map=names) == key_of(config, map=backwards) != key_of(config)


def test_the_order_of_the_files_changes_the_key(config: DatasetPrepConfig, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"question": "Who?", "answer": "You."}\n')
    both = (*config.data, str(other))
    assert len({key_of(config), key_of(config, data=both), key_of(config, data=both[::-1])}) == 3


def test_a_model_without_a_tokenizer_has_no_key(config: DatasetPrepConfig) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (Path(config.model) / name).unlink()
    with pytest.raises(ModelError, match="no tokenizer in this folder"):
        key_of(config)
