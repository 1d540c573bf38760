from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from opensloth_core.data.read.inputs import find_inputs

ACCEPTED = "accepted: JSON lines, one JSON list, csv, tsv, text, parquet or arrow, in UTF-8, also compressed"


def format_of(path: Path) -> str:
    (file,) = find_inputs([str(path)], None)
    return file.format


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x", "x.parquet", "x.csv", "x.txt"])
def test_json_is_known_by_its_content_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('\n {"a": 1}\n{"a": 2}')
    assert format_of(tmp_path / name) == "json"
    (tmp_path / name).write_text('\ufeff [\n{"a": 1}]')
    assert format_of(tmp_path / name) == "json-array"


def test_json_is_known_behind_much_space(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("\n" * 200_000 + '{"a": 1}')
    assert format_of(tmp_path / "x") == "json"


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x"])
def test_parquet_and_arrow_are_known_by_their_content(tmp_path: Path, name: str) -> None:
    table = pa.table({"a": [1]})
    parquet.write_table(table, tmp_path / name)
    assert format_of(tmp_path / name) == "parquet"
    with pa.ipc.new_file(tmp_path / name, table.schema) as writer:
        writer.write_table(table)
    assert format_of(tmp_path / name) == "arrow"
    with pa.ipc.new_stream(tmp_path / name, table.schema) as writer:
        writer.write_table(table)
    assert format_of(tmp_path / name) == "arrow-stream"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("x.csv", "a,b\n1,2\n", "csv"),
        ("x.CSV", "a,b\n1,2\n", "csv"),
        ("x.tsv", "a\tb\n1\t2\n", "tsv"),
        ("x.txt", "once upon a time", "text"),
        ("x.text", "[Verse 1]\n", "text"),
        ("x.txt", "{name} is what stands for a name", "text"),
    ],
)
def test_csv_and_text_are_known_by_their_names(
    tmp_path: Path, name: str, content: str, expected: str
) -> None:
    (tmp_path / name).write_text(content)
    assert format_of(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f"is empty; {ACCEPTED}"),
        (b"\n \t\n" * 40_000, f"is empty; {ACCEPTED}"),
        (b"\xef\xbb\xbf", f"is empty; {ACCEPTED}"),
        (b"\x89PNG\0\0", f"is a binary file; {ACCEPTED}"),
        (b"{\0}\0", f"is a binary file; {ACCEPTED}"),
        (b"abc\0", f"is a binary file; {ACCEPTED}"),
        (b"PK\x03\x04...", "is a zip archive; unpack it"),
        (b"FEA1....", "is a feather file of version 1; save it as parquet"),
        ('{"a": 1}'.encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (
            b"question,answer\n1,2\n",
            f"is not JSON, it starts with 'question,answer\\n1,2\\n'; "
            f"name it .csv, .tsv or .txt if it is that; {ACCEPTED}",
        ),
    ],
)
def test_what_is_in_no_known_format_is_one_clear_line(
    tmp_path: Path, refused: Callable[..., str], content: bytes, message: str
) -> None:
    (tmp_path / "x").write_bytes(content)
    assert refused(tmp_path / "x") == f"x: {message}"


@pytest.mark.parametrize("name", ["x.csv", "x.txt"])
def test_a_binary_file_is_no_text_whatever_its_name(
    tmp_path: Path, refused: Callable[..., str], name: str
) -> None:
    (tmp_path / name).write_bytes(b"\x89PNG\0\0")
    assert refused(tmp_path / name) == f"{name}: is a binary file; {ACCEPTED}"
