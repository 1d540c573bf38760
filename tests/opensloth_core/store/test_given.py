"""Training on data that was prepared before: its settings, contradictions, copies, sources that are gone."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.api import PreparedData, run_prepare_data
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, DataError
from opensloth_core.models.tiny import write_tiny_model
from opensloth_core.preflight import examine
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.store.adopt import adopt, check_given, link_or_copy
from opensloth_core.store.aging import aging
from opensloth_core.store.artifact import MANIFEST, FileRecord
from opensloth_core.store.digest import file_digest
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepared import find_prepared, prepared_dir, prepared_key

SETTINGS = {"gpus": 2, "max_seq_length": 192, "eval_size": 4}


@pytest.fixture
def rows(tmp_path: Path, chat_data: Path) -> Path:
    return Path(shutil.copy(chat_data, tmp_path / "rows.jsonl"))


@pytest.fixture
def made(home: Path, rows: Path, tiny_model_dir: Path, tmp_path: Path, quick_setup: None) -> PreparedData:
    """Data for two ranks, with a copy in `copy`."""
    given = {"data": str(rows), "model": str(tiny_model_dir), "data_output": tmp_path / "copy", **SETTINGS}
    return run_prepare_data(given)


def asked(**given: Any) -> OpenSlothConfig:
    return TrainingConfigBuilder().with_flags(given).build()


def test_the_data_says_what_a_run_on_it_does_not_say_and_keeps_its_key_when_its_sources_are_gone(
    made: PreparedData, rows: Path, tiny_model_dir: Path, tmp_path: Path, home: Path
) -> None:
    key = made.manifest.key
    run = RunDirectory.create(asked(prepared=key))
    with pytest.raises(ConfigError, match=f"{run.path.name}: this run had no prepared data"):
        asked(prepared="last")
    run.write_launch(Launch(str(tiny_model_dir), ("cpu",), key))
    shutil.copy(made.folder / "manifest.json", tmp_path / "manifest.json")
    rows.unlink()
    names = (run.path.name, run.path.name[:-6], run.path.name[-4:], "last")
    for called in (key, key[:6], str(made.folder), str(made.folder / "manifest.json"), *names):
        config = asked(prepared=called, epochs="3")
        assert (config.prepared, config.model, config.gpus) == (key, str(tiny_model_dir), 2)
        assert (config.max_seq_length, config.eval_size, config.data) == (192, 4, (str(rows),))
        assert config.training.epochs == 3
        assert prepared_key(config.preparation, tiny_model_dir, 2).digest == key
    assert asked(prepared=key, gpus="auto").gpus == 2
    assert asked(prepared=key, gpus="0,3").gpus == (0, 3)
    # The record of a run says all of it, also when the data has gone.
    assert run.config().prepared == run.preparation().prepared == key
    shutil.rmtree(made.folder)
    assert run.config().max_seq_length == 192
    with pytest.raises(ConfigError, match=rf"{key[:6]}: no prepared data has this key \(nothing is prepared"):
        asked(prepared=key[:6])


CONFLICTS = {
    "gpus": ("4", "gpus 4: contradicts the prepared data .*, made with gpus 2; drop it, or prepare"),
    "max_seq_length": ("4096", "max_seq_length 4096: contradicts .*, made with max_seq_length 192"),
    "method": ("dpo", "method dpo: the prepared data .* is for sft; use os-sft"),
    "data": ("other.jsonl", "data other.jsonl: contradicts .*, made with data .*rows.jsonl"),
    "train_on": ("all", "train_on all: contradicts .*, made with train_on assistant"),
    "seed": ("7", "seed 7: contradicts .*, made with seed 42"),
}


def test_what_contradicts_the_data_is_an_error_that_names_both_values(made: PreparedData) -> None:
    for name, (value, message) in CONFLICTS.items():
        with pytest.raises(ConfigError, match=message):
            asked(**{"prepared": made.manifest.key, name: value})


def test_a_preset_gives_way_to_the_data_and_a_file_does_not(made: PreparedData, tmp_path: Path) -> None:
    key = made.manifest.key
    config = TrainingConfigBuilder().with_preset("long-context").with_flags({"prepared": key}).build()
    assert config.max_seq_length == 192
    path = tmp_path / "run.yaml"
    path.write_text(f"max_seq_length: 512\nprepared: {key}\n")
    with pytest.raises(ConfigError, match="max_seq_length 512: contradicts the prepared data"):
        TrainingConfigBuilder().with_file(path).build()


def test_a_model_with_another_tokenizer_is_refused_and_one_with_the_same_is_not(
    made: PreparedData, tiny_model_dir: Path, tmp_path: Path
) -> None:
    other = write_tiny_model(tmp_path / "other", seed=1)
    config = asked(prepared=made.manifest.key, model=str(other))
    assert prepared_key(config.preparation, other, 2).digest == made.manifest.key
    (other / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(
        ConfigError,
        match=rf"model {other}: its tokenizer: chat_template\.jinja is not that of {tiny_model_dir}",
    ):
        prepared_key(config.preparation, other, 2)
    with pytest.raises(ConfigError, match=r"gpus 1: contradicts the prepared data .*, made for 2"):
        prepared_key(config.preparation, tiny_model_dir, 1)


def test_a_copy_is_verified_and_taken_into_the_store_where_that_has_lost_it(
    made: PreparedData, tiny_model_dir: Path, tmp_path: Path, rows: Path
) -> None:
    key, copy = made.manifest.key, tmp_path / "copy"
    shutil.rmtree(made.folder)
    rows.unlink()
    config = asked(prepared=str(copy))
    assert config.prepared == str(copy)
    check_given(str(copy))
    wanted = prepared_key(config.preparation, tiny_model_dir, 2)
    assert wanted.digest == key
    manifest, cached = obtain(config.preparation, tiny_model_dir, 2, wanted)
    assert (manifest, cached) == (made.manifest, False)
    assert find_prepared(key, in_full=True)[0] == made.manifest
    assert obtain(config.preparation, tiny_model_dir, 2, wanted)[1] is True

    shutil.rmtree(prepared_dir(key))
    shard = copy / made.manifest.shards[0]
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.unlink()
    shard.write_bytes(content)
    with pytest.raises(DataError, match=f"{shard.name} has changed since it was written"):
        check_given(str(copy))
    with pytest.raises(DataError, match=f"{shard.name} has changed since it was written"):
        obtain(config.preparation, tiny_model_dir, 2, wanted)
    assert find_prepared(key) == (None, None)
    shard.unlink()
    with pytest.raises(DataError, match=f"{shard.name} is missing; prepare the data again with os-data"):
        check_given(str(copy))


@pytest.mark.parametrize("field", ["files", "shards"])
def test_a_copy_whose_names_lead_out_of_it_is_refused_and_nothing_is_written(
    made: PreparedData, tiny_model_dir: Path, tmp_path: Path, field: str
) -> None:
    outside, copy = tmp_path / "outside", tmp_path / "copy"
    outside.write_text("planted")
    record = FileRecord(size_bytes=outside.stat().st_size, blake2b=file_digest(outside))
    for name in ("../outside", str(outside), "..", ".hidden", "in/side"):
        value = {**made.manifest.files, name: record} if field == "files" else (name, name)
        changed = made.manifest.model_copy(update={field: value}).sealed()
        (copy / MANIFEST).write_text(changed.model_dump_json())
        with pytest.raises(ConfigError, match="is damaged, or of another version"):
            asked(prepared=str(copy))
        with pytest.raises(ConfigError, match="is damaged, or of another version"):
            adopt(str(copy), made.manifest.key)


def test_a_copy_made_of_links_is_taken_in_as_files(made: PreparedData, tmp_path: Path) -> None:
    key, links = made.manifest.key, tmp_path / "links"
    links.mkdir()
    for path in (tmp_path / "copy").iterdir():
        (links / path.name).symlink_to(path)
    shutil.rmtree(made.folder)
    adopt(str(links), key)
    assert not [path for path in prepared_dir(key).iterdir() if path.is_symlink()]


def test_a_file_that_is_in_the_way_is_never_written_to(tmp_path: Path) -> None:
    source, target, elsewhere = (tmp_path / name for name in ("source", "target", "elsewhere"))
    source.write_text("planted")
    elsewhere.write_text("mine")
    target.symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        link_or_copy(source, target)
    if not (shm := Path("/dev/shm")).is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one file system only")
    with tempfile.NamedTemporaryFile(dir=shm) as other:
        other.write(b"planted")
        other.flush()
        with pytest.raises(FileExistsError):
            link_or_copy(Path(other.name), target)
        link_or_copy(Path(other.name), tmp_path / "copied")
    assert elsewhere.read_text() == "mine" and (tmp_path / "copied").read_text() == "planted"


def test_preflight_asks_for_the_prepared_data_and_not_for_its_sources(made: PreparedData, rows: Path) -> None:
    config = asked(prepared=made.manifest.key, gpus=2)
    rows.unlink()
    assert not [one for one in examine(config).problems if "rows.jsonl" in str(one)]
    (made.folder / made.manifest.shards[1]).unlink()
    assert [one for one in examine(config).problems if "00001-of-00002.arrow is missing" in str(one)]


def test_what_changed_since_is_said(made: PreparedData, rows: Path) -> None:
    config, parts = asked(prepared=made.manifest.key).preparation, made.manifest.parts
    assert list(aging(config, parts)) == []
    rows.write_text(rows.read_text() + json.dumps({"question": "New?", "answer": "Yes."}) + "\n")
    assert list(aging(config, parts)) == [
        "rows has changed since it was prepared; trained on as it was prepared"
    ]
    rows.unlink()
    (said,) = aging(config, {**parts, "transformers": parts["transformers"]})
    assert said.startswith("the sources of the data cannot be read any more (") and "no such file" in said
    *_, said = aging(config, {**parts, "transformers": "4.0"})
    assert said == "the data was prepared with other versions of: transformers; trained on as it is"
