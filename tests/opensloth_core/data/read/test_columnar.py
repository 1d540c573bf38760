"""Parquet, both Arrow formats, and what becomes of their types."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from opensloth_core.data.row import Rejected, Row

Rows = Callable[..., list[Row | Rejected]]


def write_arrow(table: pa.Table, path: Path, batch_rows: int = 1000) -> None:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)


def write_stream(table: pa.Table, path: Path, batch_rows: int = 1000) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=batch_rows)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "parquet": parquet.write_table,
    "arrow": write_arrow,
    "arrow-stream": write_stream,
}


@pytest.fixture(params=WRITERS)
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[pa.Table], Path]:
    def written(table: pa.Table) -> Path:
        path = tmp_path / "data"
        WRITERS[request.param](table, path)
        return path

    return written


Write = Callable[[pa.Table], Path]


def test_rows_are_numbered_from_1_through_all_batches(write: Write, rows: Rows) -> None:
    table = pa.table({"a": list(range(2500)), "b": [f"é{n}" for n in range(2500)]})
    assert rows(write(table)) == [Row(n + 1, {"a": n, "b": f"é{n}"}) for n in range(2500)]


def test_nested_columns_become_nested_json_with_their_nulls(write: Write, values: Any) -> None:
    messages = [[{"role": "user", "content": "hi", "tool": None}], [], None]
    table = pa.table({"messages": messages, "flag": [True, None, False]})
    assert values(write(table)) == [
        {"messages": message, "flag": flag}
        for message, flag in zip(messages, [True, None, False], strict=True)
    ]


def test_dates_and_decimals_are_strings_and_a_map_is_an_object(write: Write, values: Any) -> None:
    moment = dt.datetime(2020, 1, 2, 3, 4, 5)
    table = pa.table(
        {
            "date": pa.array([dt.date(2020, 1, 2)]),
            "moment": pa.array([moment], pa.timestamp("us")),
            "zoned": pa.array([moment.replace(tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
            "nano": pa.array([1_577_934_245_000_000_001], pa.timestamp("ns")),
            "clock": pa.array([dt.time(3, 4)], pa.time64("us")),
            "price": pa.array([Decimal("1.50")], pa.decimal128(5, 2)),
            "map": pa.array([[("x", 1)]], pa.map_(pa.string(), pa.int64())),
            "word": pa.array(["a"]).dictionary_encode(),
            "large": pa.array(["b"], pa.large_string()),
        }
    )
    assert values(write(table)) == [
        {
            "date": "2020-01-02",
            "moment": "2020-01-02T03:04:05",
            "zoned": "2020-01-02T03:04:05+00:00",
            "nano": "2020-01-02T03:04:05.000000001",
            "clock": "03:04:00",
            "price": "1.50",
            "map": {"x": 1},
            "word": "a",
            "large": "b",
        }
    ]


def test_a_row_with_bytes_is_rejected_and_one_where_they_are_null_is_not(write: Write, rows: Rows) -> None:
    image = pa.array([{"bytes": b"\x89PNG", "path": "a.png"}, None])
    found = rows(write(pa.table({"text": ["a", "b"], "image": image})))
    assert found == [Rejected(1, "binary value", "in image"), Row(2, {"text": "b", "image": None})]


def test_a_string_that_is_not_utf8_costs_parquet_only_its_row(tmp_path: Path, rows: Rows) -> None:
    broken = pa.array([b"ok", b"caf\xe9", b"ok"]).view(pa.string())
    parquet.write_table(pa.table({"n": [1, 2, 3], "text": broken}), tmp_path / "data")
    assert rows(tmp_path / "data") == [
        Row(1, {"n": 1, "text": "ok"}),
        Rejected(2, "not valid UTF-8", "in text"),
        Row(3, {"n": 3, "text": "ok"}),
    ]


@pytest.mark.parametrize("writer", [write_arrow, write_stream])
def test_arrow_with_a_string_that_is_not_utf8_is_a_damaged_file(
    tmp_path: Path, refused: Callable[..., str], writer: Callable[[pa.Table, Path], None]
) -> None:
    writer(pa.table({"text": pa.array([b"caf\xe9"]).view(pa.string())}), tmp_path / "data")
    assert refused(tmp_path / "data").startswith("data: is cut off or damaged (")


def test_a_column_name_given_twice_is_one_clear_line(write: Write, refused: Callable[..., str]) -> None:
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert refused(write(table)) == "data: has the column a twice; rename one"


def test_a_table_without_rows_gives_none(write: Write, rows: Rows) -> None:
    assert rows(write(pa.table({"a": pa.array([], pa.string())}))) == []


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_one_clear_line(
    write: Write, refused: Callable[..., str], share: float
) -> None:
    path = write(pa.table({"a": [f"number {n}" for n in range(5000)]}))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    message = refused(path)
    assert message.startswith("data: is cut off or damaged (")
    assert message.endswith("; fetch or write the file again")


def test_a_stream_cut_between_two_batches_is_not_taken_for_a_whole_one(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "data"
    write_stream(pa.table({"a": list(range(2000))}), path)
    path.write_bytes(path.read_bytes()[:-8])
    assert refused(path) == ("data: is cut off or damaged (no end of stream); fetch or write the file again")


def test_parquet_with_a_flipped_byte_in_its_data_is_not_read_as_something_else(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "data"
    table = pa.table({"a": [f"number {n}" for n in range(5000)]})
    parquet.write_table(table, path, compression="zstd", write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    assert refused(path).startswith("data: is cut off or damaged (")


def test_arrow_whose_offsets_point_outside_is_not_followed(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "data"
    offsets = b"".join(offset.to_bytes(4, "little") for offset in (0, 1 << 30, 3))
    column = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(offsets), pa.py_buffer(b"abc")])
    write_stream(pa.table({"a": column}), path)
    assert refused(path).startswith("data: is cut off or damaged (")
