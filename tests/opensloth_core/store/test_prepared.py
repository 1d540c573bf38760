"""Prepared data: what its key is made of, noticing damage, and one input prepared end to end."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import DataError, StoreError
from opensloth_core.store.artifact import MANIFEST
from opensloth_core.store.prepared import (
    PreparedManifest,
    find_prepared,
    open_prepared,
    prepare,
    prepared_dir,
    prepared_key,
)

TORN = f"{MANIFEST} is damaged, or of another version: "


def key_of(config: DatasetPrepConfig, num_shards: int = 2, **changes: object) -> str:
    """The key of some settings with some of them changed."""
    return prepared_key(config.model_copy(update=changes), Path(config.model), num_shards).digest


def prepared(config: DatasetPrepConfig, num_shards: int = 2) -> PreparedManifest:
    model_dir = Path(config.model)
    return prepare(config, model_dir, num_shards, prepared_key(config, model_dir, num_shards))


def test_prepared_data_is_found_whole_under_its_key(config: DatasetPrepConfig, home: Path) -> None:
    key = key_of(config)
    assert find_prepared(key) == (None, None)
    manifest = prepared(config)
    assert find_prepared(key) == (manifest, None)
    assert open_prepared(key) == manifest
    folder = home / "store" / "prepared" / key
    assert prepared_dir(key) == folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "ledger.json",
        "manifest.json",
        "origins.arrow",
        "rejected.jsonl",
        "shard-00000-of-00002.arrow",
        "shard-00001-of-00002.arrow",
        "units.arrow",
    ]
    assert manifest.key == key
    assert manifest.shards == ("shard-00000-of-00002.arrow", "shard-00001-of-00002.arrow")
    assert set(manifest.files) == {path.name for path in folder.iterdir()} - {MANIFEST}
    assert manifest.parts == prepared_key(config, Path(config.model), 2).parts
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".staging")]


def test_the_manifest_holds_the_settings_as_a_configuration_takes_them(config: DatasetPrepConfig) -> None:
    manifest = prepared(config.model_copy(update={"gpus": "auto", "data_output": Path("copy")}))
    made_with = DatasetPrepConfig.of(manifest.preparation)
    assert made_with == config  # the count instead of "auto", and no export


def test_the_shards_hold_what_the_ledger_says(config: DatasetPrepConfig) -> None:
    manifest = prepared(config)
    # Every byte and each of the 4 markers is a token: "user\nWhat is 100?" has 17, "\n" after it 1,
    # "assistant\nIt is 100." 20, "\n" 1; trained are the 10 of "It is 100." and its <|im_end|>.
    assert len("user\nWhat is 100?") == 17 and len("assistant\nIt is 100.") == 20
    assert manifest.ledger.tokens_in == 30 * (17 + 1 + 20 + 1 + 4) == 1290
    assert manifest.ledger.tokens_trained == 30 * 11
    # 2 examples of 43 tokens fit into a pack of 128.
    assert (manifest.ledger.packs, manifest.ledger.padding) == (15, 15 * (128 - 2 * 43))
    folder = prepared_dir(manifest.key)
    tables = [pa.ipc.open_stream(pa.memory_map(str(folder / name))).read_all() for name in manifest.shards]
    assert sorted(table.num_rows for table in tables) == [7, 8]
    labels = [label for table in tables for row in table["labels"].to_pylist() for label in row]
    assert sum(label != -100 for label in labels) == 330


def damage_and_expect(config: DatasetPrepConfig, harm: Callable[[Path], object], problem: str) -> None:
    """Harms prepared data; expects that it is noticed, refused, and made again."""
    manifest = prepared(config)
    folder = prepared_dir(manifest.key)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST}
    harm(folder)
    assert find_prepared(manifest.key) == (None, problem)
    with pytest.raises(StoreError) as caught:
        open_prepared(manifest.key)
    assert str(caught.value) == f"{folder}: {problem}; run the command again"
    prepared(config)
    found, _ = find_prepared(manifest.key)
    assert found is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST} == before


def test_a_deleted_shard_is_noticed_and_made_again(config: DatasetPrepConfig) -> None:
    shard = "shard-00001-of-00002.arrow"
    damage_and_expect(config, lambda folder: (folder / shard).unlink(), f"{shard} is missing")


def test_a_truncated_shard_is_noticed_and_made_again(config: DatasetPrepConfig) -> None:
    shard = "shard-00000-of-00002.arrow"
    size = prepared(config).files[shard].size_bytes
    problem = f"{shard} has {size - 1:,} bytes, should have {size:,}"
    damage_and_expect(config, lambda folder: os.truncate(folder / shard, size - 1), problem)


def test_a_torn_manifest_is_noticed_and_made_again(config: DatasetPrepConfig) -> None:
    # In the middle of the first string.
    problem = TORN + "Unterminated string starting at: line 2 column 3 (char 4)"
    damage_and_expect(config, lambda folder: os.truncate(folder / MANIFEST, 6), problem)


def test_a_manifest_with_another_number_in_it_is_noticed_and_made_again(config: DatasetPrepConfig) -> None:
    def read_one_row_more(folder: Path) -> None:
        text = (folder / MANIFEST).read_text()
        assert text.count('"rows_read": 30') == 1
        (folder / MANIFEST).write_text(text.replace('"rows_read": 30', '"rows_read": 31'))

    damage_and_expect(config, read_one_row_more, f"{MANIFEST} has changed since it was written")


def test_a_manifest_of_another_version_is_noticed_and_made_again(config: DatasetPrepConfig) -> None:
    def forget_the_shards(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        del manifest["shards"], manifest["seal"]
        (folder / MANIFEST).write_text(json.dumps(manifest))

    damage_and_expect(config, forget_the_shards, TORN + "1 validation error for PreparedManifest")


def test_prepared_data_under_the_key_of_other_data_is_noticed(config: DatasetPrepConfig) -> None:
    one, other = prepared(config).key, prepared(config.model_copy(update={"max_seq_length": 64})).key
    shutil.rmtree(prepared_dir(other))
    shutil.copytree(prepared_dir(one), prepared_dir(other))
    assert find_prepared(other) == (None, f"{MANIFEST} is that of {one}")


def test_a_folder_without_a_manifest_is_noticed_and_made_again(config: DatasetPrepConfig) -> None:
    damage_and_expect(config, lambda folder: (folder / MANIFEST).unlink(), f"{MANIFEST} is missing")


def test_data_that_is_not_there_names_the_way_out(home: Path) -> None:
    with pytest.raises(StoreError) as caught:
        open_prepared("0123")
    assert str(caught.value) == (f"{home}/store/prepared/0123: no such prepared data; run the command again")


def test_an_input_that_changed_after_its_key_was_known_is_not_published(
    config: DatasetPrepConfig, home: Path
) -> None:
    path = Path(config.data[0])
    key = prepared_key(config, Path(config.model), 2)
    path.write_text(path.read_text().replace("It is 117.", "It is 118."))
    for changes in ({}, {"samples": 5}):
        with pytest.raises(DataError) as caught:
            prepare(config.model_copy(update=changes), Path(config.model), 2, key)
        assert str(caught.value) == "train: changed while it was being read; run the command again"
        assert find_prepared(key.digest) == (None, None)
        assert not list((home / "store" / "tokens").iterdir())


def test_an_input_that_changes_while_it_is_read_is_not_published(
    config: DatasetPrepConfig, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Chunks of 8 rows, so that 20 kB are many; they are encoded by processes.
    monkeypatch.setattr("opensloth_core.data.chunk.MAX_ROWS", 8)
    monkeypatch.setattr("opensloth_core.data.read.lines.BLOCK_BYTES", 512)
    path = Path(config.data[0])
    path.write_text(path.read_text() * 13)
    key = prepared_key(config, Path(config.model), 2)
    size, reports = path.stat().st_size, []

    def append_after_the_first_chunk(phase: str, done: int, total: int | None) -> None:
        if not reports:
            with path.open("a") as file:
                file.write('{"question": "What is new?", "answer": "This."}\n')
        reports.append((phase, done))

    with pytest.raises(DataError) as caught:
        prepare(config, Path(config.model), 2, key, append_after_the_first_chunk)
    assert str(caught.value) == "train: changed while it was being read; run the command again"
    phase, done = reports[0]
    assert phase == "tokenize" and done < size
    assert find_prepared(key.digest) == (None, None)
    assert not list((home / "store" / "tokens").iterdir())


def test_the_same_input_gives_the_same_bytes_in_another_home(
    config: DatasetPrepConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = []
    for home in ("one", "two"):
        monkeypatch.setenv("OPENSLOTH_HOME", str(tmp_path / home))
        manifest = prepared(config.model_copy(update={"samples": 20}))
        folder = prepared_dir(manifest.key)
        assert folder.is_relative_to(tmp_path / home)
        contents.append({path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST})
        # The second time under another name.
        config = config.model_copy(
            update={"data": (str(Path(config.data[0]).rename(tmp_path / f"{home}.json")),)}
        )
    assert contents[0] == contents[1]


def test_a_renamed_file_s_rejected_rows_are_told_by_its_new_name(
    config: DatasetPrepConfig, tmp_path: Path
) -> None:
    path = Path(config.data[0])
    path.write_text(path.read_text() + '{"question": "cut o')
    config = config.model_copy(update={"max_rejected": 0.5})
    prepared(config)
    renamed = config.model_copy(update={"data": (str(path.rename(tmp_path / "renamed.jsonl")),)})
    folder = prepared_dir(prepared(renamed, num_shards=3).key)
    assert json.loads((folder / "rejected.jsonl").read_text())["file"] == "renamed.jsonl"
