"""Which files a source means, and in which order."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from opensloth_core.data.read.inputs import find_inputs

Values = Callable[..., list[object]]
Refused = Callable[..., str]


def fill(folder: Path, *relatives: str) -> None:
    """Files whose one row tells where it is from."""
    for relative in relatives:
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"from": "{relative}"}}\n')


def found(*sources: str | Path, split: str | None = None) -> list[str]:
    """Relative paths as the files' only rows give them."""
    files = find_inputs([str(source) for source in sources], split)
    return [json.loads(Path(file.url).read_bytes())["from"] for file in files]


def test_sources_are_read_in_the_order_they_are_given(tmp_path: Path) -> None:
    fill(tmp_path, "b.jsonl", "a.jsonl")
    assert found(tmp_path / "b.jsonl", tmp_path / "a.jsonl") == ["b.jsonl", "a.jsonl"]


def test_the_name_of_a_file_is_its_base_name_and_its_size_the_stored_one(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.jsonl")
    (file,) = find_inputs([str(tmp_path / "in" / "a.jsonl")], None)
    assert (file.name, file.size_bytes, file.format) == ("a.jsonl", 23, "json")


def test_a_folder_gives_its_data_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    fill(tmp_path, "b.jsonl", "a/z.json", "a.jsonl", "a/b.jsonl.gz", "c.parquet")
    fill(tmp_path, ".hidden.jsonl", ".git/a.json", "README.md", "LICENSE", "README.txt", "dataset_info.json")
    fill(tmp_path, "requirements.txt", "script.py", "__pycache__/a.json", "_SUCCESS")
    assert found(tmp_path) == ["a/b.jsonl.gz", "a/z.json", "a.jsonl", "b.jsonl", "c.parquet"]
    assert found(f"{tmp_path}/") == found(tmp_path)


def test_a_folder_may_mix_formats(tmp_path: Path, values: Values) -> None:
    (tmp_path / "a.csv").write_text("from\nx\n")
    fill(tmp_path, "b.json")
    assert values(tmp_path) == [{"from": "x"}, {"from": "b.json"}]


def test_empty_parts_of_a_folder_are_passed_over_and_an_empty_file_is_not(
    tmp_path: Path, refused: Refused
) -> None:
    fill(tmp_path, "b.jsonl")
    (tmp_path / "a.jsonl").touch()
    assert found(tmp_path) == ["b.jsonl"]
    assert found(tmp_path / "*.jsonl") == ["b.jsonl"]
    assert refused(tmp_path / "a.jsonl").startswith("a.jsonl: is empty;")
    (tmp_path / "b.jsonl").unlink()
    assert refused(tmp_path).startswith("a.jsonl: is empty;")


def test_a_folder_without_data_is_one_clear_line(tmp_path: Path, refused: Refused) -> None:
    fill(tmp_path, "README.md")
    assert refused(tmp_path) == (
        "FOLDER: is a folder without data files; their names end in .json, .jsonl, .csv, .tsv, .txt, "
        ".parquet or .arrow, perhaps followed by .gz, .zst, .xz or .bz2"
    )


def test_links_are_followed_once(tmp_path: Path) -> None:
    fill(tmp_path, "blobs/0", "data/a.jsonl")
    (tmp_path / "data" / "b.jsonl").symlink_to(tmp_path / "blobs" / "0")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    assert found(tmp_path / "data") == ["data/a.jsonl", "blobs/0"]


def test_a_link_to_nothing_is_told(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "gone")
    assert refused(tmp_path) == "a.jsonl: no such file"


def test_a_glob_gives_matching_files_sorted_without_hidden_ones_and_readmes(tmp_path: Path) -> None:
    fill(tmp_path, "b.jsonl", "a.jsonl", "a.json", ".c.jsonl", "d/e.jsonl", "README.jsonl", "README.md")
    assert found(tmp_path / "*.jsonl") == ["a.jsonl", "b.jsonl"]
    assert found(tmp_path / "**" / "*.jsonl") == ["a.jsonl", "b.jsonl", "d/e.jsonl"]
    assert found(tmp_path / "[a-b].jsonl") == ["a.jsonl", "b.jsonl"]
    assert found(tmp_path / "*") == ["a.json", "a.jsonl", "b.jsonl"]
    assert found(tmp_path / "**") == ["a.json", "a.jsonl", "b.jsonl", "d/e.jsonl"]


def test_a_glob_is_relative_to_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "in/a.jsonl")
    monkeypatch.chdir(tmp_path)
    assert found("*/*.jsonl") == ["in/a.jsonl"]
    assert found("in") == ["in/a.jsonl"]


def test_names_that_tell_nothing_are_taken_by_a_glob_for_their_content(tmp_path: Path) -> None:
    fill(tmp_path, "part-00001", "part-00000", ".part-00000.crc")
    assert found(tmp_path / "part-*") == ["part-00000", "part-00001"]


def test_a_glob_that_matches_only_folders_gives_what_is_in_them(tmp_path: Path) -> None:
    fill(tmp_path, "b/1.json", "a/2.json")
    assert found(tmp_path / "*") == ["a/2.json", "b/1.json"]


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    fill(tmp_path, "a[1].jsonl", "a1.jsonl")
    assert found(tmp_path / "a[1].jsonl") == ["a[1].jsonl"]


def test_a_glob_that_matches_nothing_is_one_clear_line(tmp_path: Path, refused: Refused) -> None:
    assert refused(tmp_path / "*.jsonl") == "*.jsonl: matches no file"


def test_a_missing_file_is_one_clear_line_with_a_hint_for_hub_names(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(tmp_path / "none.jsonl") == "none.jsonl: no such file"
    assert refused("data/none.jsonl") == "data/none.jsonl: no such file"
    assert refused("none.jsonl") == "none.jsonl: no such file"
    assert refused("squad") == "squad: no such file; a data set of the hub is org/name"


def test_a_device_is_one_clear_line(refused: Refused) -> None:
    assert refused("/dev/null") == "/dev/null: is not a regular file; save the rows to a file first"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_one_clear_line(tmp_path: Path, refused: Refused) -> None:
    fill(tmp_path, "a.jsonl")
    (tmp_path / "a.jsonl").chmod(0)
    assert refused(tmp_path / "a.jsonl") == "a.jsonl: cannot be read: Permission denied"


def test_a_file_in_the_user_s_home_and_a_file_url_are_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a.jsonl")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert found("~/a.jsonl") == ["a.jsonl"]
    assert found(f"file://{tmp_path}/a.jsonl") == ["a.jsonl"]


def test_a_file_named_twice_is_an_error(tmp_path: Path, refused: Refused, monkeypatch: Any) -> None:
    fill(tmp_path, "a.jsonl", "b.jsonl")
    assert refused(tmp_path, tmp_path / "a.jsonl") == (
        "a.jsonl: is named twice (FOLDER and a.jsonl); name each file once"
    )
    monkeypatch.chdir(tmp_path)
    assert refused("a.jsonl", "./a.jsonl").endswith(
        "is named twice (a.jsonl and ./a.jsonl); name each file once"
    )
    assert refused("a.jsonl", "a.jsonl") == "a.jsonl: is named twice; name each file once"


def test_the_train_split_of_a_folder_or_glob_is_taken_unless_another_is_asked_for(tmp_path: Path) -> None:
    fill(tmp_path, "train-00001-of-00002.jsonl", "train-00000-of-00002.jsonl", "test.jsonl", "dev/a.jsonl")
    train = ["train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl"]
    assert found(tmp_path) == found(tmp_path, split="train") == found(tmp_path / "*.jsonl") == train
    assert found(tmp_path, split="test") == ["test.jsonl"]
    assert found(tmp_path, split="validation") == ["dev/a.jsonl"]


def test_a_split_asked_of_one_file_is_an_error_with_the_way_out(tmp_path: Path, refused: Refused) -> None:
    fill(tmp_path, "train.jsonl")
    assert refused(tmp_path / "train.jsonl", split="test") == (
        "train.jsonl: is one file and has no split 'test'; drop --split"
    )


def test_folders_above_the_source_name_no_split(tmp_path: Path) -> None:
    fill(tmp_path, "test/a.jsonl", "test/b.jsonl")
    assert found(tmp_path / "test") == ["test/a.jsonl", "test/b.jsonl"]
    assert found(tmp_path / "test" / "*.jsonl") == ["test/a.jsonl", "test/b.jsonl"]


def test_a_saved_data_set_gives_its_rows_in_order_and_not_what_map_left_there(
    tmp_path: Path, values: Values
) -> None:
    folder = tmp_path / "saved"
    expected = [{"text": f"row {n}", "parts": {"a": n, "b": None}} for n in range(10)]
    Dataset.from_list(expected).save_to_disk(folder, num_shards=3)
    (folder / "cache-0123456789abcdef.arrow").write_bytes((folder / "data-00000-of-00003.arrow").read_bytes())
    assert values(folder) == expected
    assert values(tmp_path) == expected


def test_a_saved_data_set_that_lost_a_file_is_told(tmp_path: Path, refused: Refused) -> None:
    folder = tmp_path / "saved"
    Dataset.from_list([{"a": 1}, {"a": 2}]).save_to_disk(folder, num_shards=2)
    (folder / "data-00001-of-00002.arrow").unlink()
    assert refused(folder) == "saved/data-00001-of-00002.arrow: no such file"


def test_a_saved_data_set_has_no_split_but_its_own(tmp_path: Path, refused: Refused, values: Values) -> None:
    folder = tmp_path / "saved"
    Dataset.from_list([{"a": 1}], split="test").save_to_disk(folder)
    assert values(folder, split="test") == [{"a": 1}]
    assert refused(folder, split="dev") == "saved: is one saved data set and has no split 'dev'; drop --split"


def test_the_splits_of_a_saved_dataset_dict_are_its_own(
    tmp_path: Path, values: Values, refused: Refused
) -> None:
    folder = tmp_path / "saved"
    splits = {name: Dataset.from_list([{"a": name}]) for name in ("train", "test", "mine")}
    DatasetDict(splits).save_to_disk(folder)
    assert values(folder) == [{"a": "train"}]
    assert values(folder, split="mine") == [{"a": "mine"}]
    assert refused(folder, split="dev") == "saved: has no split 'dev'; it has train, test, mine"


@pytest.mark.parametrize("content", ["{", "[]", '{"_data_files": 3}'])
def test_a_damaged_description_of_a_saved_data_set_is_one_clear_line(
    tmp_path: Path, refused: Refused, content: str
) -> None:
    folder = tmp_path / "saved"
    Dataset.from_list([{"a": 1}]).save_to_disk(folder)
    (folder / "state.json").write_text(content)
    assert refused(folder).startswith("saved/state.json: ")
    assert refused(folder).endswith("; save the data set again")
