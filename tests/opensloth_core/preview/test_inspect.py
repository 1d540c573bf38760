"""Prepared data is found by whatever a person calls it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.api import PreparedData
from opensloth_core.errors import ConfigError
from opensloth_core.preview.artifact import inspect
from opensloth_core.preview.card import data_card
from opensloth_core.preview.preview import Preview
from opensloth_core.store.prepared import prepared_dir

Prepared = Callable[..., PreparedData]

ROWS = [{"question": f"Q{n}?", "answer": "A" * (n + 1)} for n in range(6)]


def test_a_key_its_beginning_and_its_folders_name_the_same_data(prepared: Prepared, tmp_path: Path) -> None:
    made = prepared(ROWS, data_output=tmp_path / "copy")
    key = made.manifest.key
    for called in (key, key[:5], key[:5].upper(), str(made.folder), str(made.folder / "manifest.json")):
        assert inspect(called).folder == made.folder
    copy = inspect(str(tmp_path / "copy"))
    assert (copy.folder, copy.manifest) == (tmp_path / "copy", made.manifest)


def test_the_folder_of_a_run_names_the_data_it_was_given(prepared: Prepared, tmp_path: Path) -> None:
    made = prepared(ROWS)
    (tmp_path / "launch.json").write_text(json.dumps({"prepared_key": made.manifest.key}))
    assert inspect(str(tmp_path)).folder == made.folder


def test_shards_are_counted_from_what_is_on_disk(prepared: Prepared) -> None:
    made = prepared(ROWS, gpus=2)
    ledger, shards = made.manifest.ledger, inspect(made.manifest.key).shards
    assert [shard.name for shard in shards] == list(made.manifest.shards)
    assert sum(shard.num_rows for shard in shards) == ledger.packs
    assert sum(shard.num_trained for shard in shards) == ledger.tokens_trained
    assert sum(shard.num_tokens for shard in shards) == ledger.tokens_trained + ledger.tokens_masked
    assert [shard.size_bytes for shard in shards] == [
        (made.folder / name).stat().st_size for name in made.manifest.shards
    ]


def test_the_json_of_an_inspection_is_json(prepared: Prepared) -> None:
    made = prepared(ROWS)
    record = json.loads(json.dumps(inspect(made.manifest.key).as_json()))
    assert record["key"] == made.manifest.key
    assert record["ledger"]["rows_read"] == 6
    assert record["shards"][0]["num_rows"] == made.manifest.ledger.packs


def test_damage_is_told(prepared: Prepared) -> None:
    made = prepared(ROWS)
    (made.folder / made.manifest.shards[0]).unlink()
    inspected = inspect(made.manifest.key)
    assert inspected.damage == "shard-00000-of-00001.arrow is missing"
    assert inspected.shards == ()


def test_an_unknown_key_names_those_there_are(prepared: Prepared) -> None:
    key = prepared(ROWS).manifest.key
    with pytest.raises(
        ConfigError, match=rf"zz: no prepared data has this key \(the newest keys: {key[:12]}"
    ):
        inspect("zz")


def test_where_nothing_is_prepared_that_is_said(home: Path) -> None:
    with pytest.raises(ConfigError, match="nothing is prepared yet"):
        inspect("zz")


def test_a_beginning_of_several_keys_is_not_enough(prepared: Prepared) -> None:
    folder = prepared(ROWS).folder
    key = folder.name
    shutil.copytree(folder, prepared_dir(key[:-1] + "x"))
    with pytest.raises(ConfigError, match="2 keys begin so; give more of one"):
        inspect(key[:8])
    assert inspect(key).folder == folder


@pytest.mark.parametrize(
    ("called", "problem"),
    [
        (".", "is no folder of prepared data"),
        ("file.txt", "is a file"),
        ("some/where", "no such folder"),
        ("broken", "is not that of prepared data"),
    ],
)
def test_what_is_no_prepared_data_is_refused(
    called: str, problem: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match=problem):
        inspect(called)


def test_a_card_names_data_settings_and_ledger_and_keeps_its_table(prepared: Prepared) -> None:
    made = prepared(ROWS, map={"prompt": "question", "completion": "answer"})
    card = data_card(made.manifest)
    assert "rows.jsonl" in card and made.manifest.key in card
    assert "**Rows**: 6 read = 6 kept" in card
    table = [line for line in card.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {3}


def test_a_card_with_examples_shows_what_is_trained_in_bold(prepared: Prepared, tiny_model_dir: Path) -> None:
    made = prepared([{"prompt": "a | b?", "completion": "*c* it is."}, {"prompt": "d?", "completion": "e."}])
    card = data_card(made.manifest, Preview.of(made.folder, made.manifest, tiny_model_dir, 3))
    assert "**Example 2**" in card and "**Example 3**" not in card
    assert "**\\*c\\* it is.&lt;\\|im_end\\|&gt;**" in card
    assert "a \\| b?" in card and "**a" not in card
    for name, value in made.manifest.parts.items():
        assert f"| {name} | `{value}` |" in card or not value
