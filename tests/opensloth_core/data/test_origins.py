"""Where the rows of a unit come from, through a real preparation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.data import origins
from opensloth_core.data.origins import ORIGINS_FILE, read_origins
from tests.opensloth_core.data.questions import question

Prepare = Callable[..., Any]


def texts_by_place(path: Path) -> dict[str, str]:
    """What stands on each line of a file that holds a question."""
    lines = path.read_text().splitlines()
    return {f"{path.name}:{n}": json.loads(line)["question"] for n, line in enumerate(lines, 1) if line}


@pytest.fixture
def two_files(tmp_path: Path) -> list[Path]:
    """35 questions on the lines of two files; the second has a gap of an empty line."""
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text("".join(json.dumps(question("a" * n)) + "\n" for n in range(1, 21)))
    lines = [json.dumps(question("b" * n)) + "\n" for n in range(1, 16)]
    second.write_text("".join([*lines[:4], "\n", *lines[4:]]))
    return [first, second]


def test_every_example_of_every_pack_is_found_at_its_file_and_line(
    prepared: Prepare, two_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origins, "_UNITS_PER_BATCH", 3)
    found = prepared(*two_files)
    expected = texts_by_place(two_files[0]) | texts_by_place(two_files[1])
    seen = []
    for number, unit in enumerate(found.table("units.arrow")):
        pack = found.shards[unit["shard"]][unit["row"]]
        places = [
            str(origin) for origin in read_origins(found.folder, number, ["first.jsonl", "second.jsonl"])
        ]
        assert len(places) == len(pack["seq_lengths"])
        start = 0
        for place, length in zip(places, pack["seq_lengths"], strict=True):
            text = found.decode(pack["input_ids"][start : start + length])
            assert f"user\n{expected[place]}<|im_end|>" in text
            start += length
        seen += places
    assert sorted(seen) == sorted(expected)
    assert "second.jsonl:16" in seen and "second.jsonl:5" not in seen


def test_the_parts_of_a_split_example_name_the_same_line(prepared: Prepare, tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps({"text": "x" * 300}) + "\n")
    found = prepared(path, overlong="split", num_shards=1)
    units = range(len(found.table("units.arrow")))
    places = [str(origin) for unit in units for origin in read_origins(found.folder, unit, ["long.jsonl"])]
    assert places == ["long.jsonl:1"] * 3


def test_pairs_and_prompts_name_one_line_each(prepared: Prepare, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"q{n}", "chosen": "yes", "rejected": "no"} for n in range(3)]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = prepared(pairs, method="dpo")
    assert [str(*read_origins(found.folder, unit, ["pairs.jsonl"])) for unit in range(3)] == [
        "pairs.jsonl:1",
        "pairs.jsonl:2",
        "pairs.jsonl:3",
    ]


def test_data_without_origins_names_nothing(prepared: Prepare, two_files: list[Path]) -> None:
    found = prepared(*two_files)
    (found.folder / ORIGINS_FILE).unlink()
    assert read_origins(found.folder, 0, ["first.jsonl"]) == []
