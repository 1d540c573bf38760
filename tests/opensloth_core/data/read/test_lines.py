"""JSON lines and plain text."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.read import lines as lines_module
from opensloth_core.data.read.lines import json_lines, text_lines
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.row import Rejected, Row
from opensloth_core.errors import DataError

ONE_A_LINE = "write one object a line, or put all of them into one list [...]"


def test_json_lines_give_rows_with_their_lines(tmp_path: Path, rows: Callable[..., list[object]]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n \t\n{"a": 2}')
    assert rows(path) == [Row(1, {"a": 1}), Row(4, {"a": 2})]


def test_a_byte_order_mark_and_crlf_are_passed_over(
    tmp_path: Path, rows: Callable[..., list[object]]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert rows(path) == [Row(1, {"a": 1}), Row(2, {"a": 2})]


@pytest.mark.parametrize(
    "broken", [b'{"a": "\xff"}', b'{"a": "x\0"}', b'{"a": 1', b'["a"]', b'{"a": "\\ud800"}']
)
def test_a_broken_line_costs_only_itself(
    tmp_path: Path, rows: Callable[..., list[object]], broken: bytes
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + broken + b'\n{"a": 3}\n')
    first, second, third = rows(path)
    assert (first, third) == (Row(1, {"a": 1}), Row(3, {"a": 3}))
    assert isinstance(second, Rejected)
    assert second.line == 2


def test_a_last_line_that_is_cut_off_is_rejected(tmp_path: Path, rows: Callable[..., list[object]]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": "tw')
    first, second = rows(path)
    assert first == Row(1, {"a": 1})
    assert isinstance(second, Rejected)
    assert second.reason == "not valid JSON"


def test_the_source_of_a_row_is_its_text_as_found() -> None:
    source = b'{ "a" :  "\xc3\xa9\\u00e9" }'
    assert list(json_lines(io.BytesIO(source + b" \r\n"), "x")) == [RawRow(1, source)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{\n  "a": 1\n}\n', f"x:1: one JSON object goes over several lines; {ONE_A_LINE}"),
        ('\n{"a": 1}{"a": 2}', f"x:2: more than one JSON object on a line; {ONE_A_LINE}"),
    ],
)
def test_a_file_laid_out_in_another_way_is_one_clear_line(
    tmp_path: Path, refused: Callable[..., str], content: str, message: str
) -> None:
    (tmp_path / "x").write_text(content)
    assert refused(tmp_path / "x") == message


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_ROW_BYTES", 1 << 20)
    stream = io.BytesIO(b'{"a": 1}\n{"a": "' + b"x" * (4 << 20))
    with pytest.raises(DataError, match=r"^x:2: a line of more than 1 MiB; write one row a line$"):
        list(json_lines(stream, "x"))
    assert stream.tell() < 2 << 20


def test_a_row_of_10_mb_is_read(tmp_path: Path, rows: Callable[..., list[object]]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"a": "x" * 10_000_000}) + '\n{"a": 1}\n')
    first, second = rows(path)
    assert isinstance(first, Row)
    assert len(first.value["a"]) == 10_000_000
    assert second == Row(2, {"a": 1})


@given(
    content=st.lists(st.sampled_from(["{}", '{"a": 1}', "", " ", "\r", "oops"]), max_size=12).map("\n".join),
    size=st.integers(1, 9),
)
def test_lines_read_in_small_blocks_equal_the_lines_of_the_whole(content: str, size: int) -> None:
    data = content.encode()

    class Small(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            return super().read(size)

    found = [(row.line, row.source) for row in json_lines(Small(data), "x") if isinstance(row, RawRow)]
    assert found == [(n, line.strip()) for n, line in enumerate(data.split(b"\n"), 1) if line.strip()]


def test_a_line_of_text_is_one_example_with_its_indent(
    tmp_path: Path, rows: Callable[..., list[object]]
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes('\ufeffone "1"\r\n\n   \n  two\u2028zwei \\n\x0bfoo\nthree'.encode())
    assert rows(path) == [
        Row(1, {"text": 'one "1"'}),
        Row(4, {"text": "  two\u2028zwei \\n\x0bfoo"}),
        Row(5, {"text": "three"}),
    ]


def test_a_line_of_text_that_is_not_utf8_is_rejected() -> None:
    assert list(text_lines(io.BytesIO(b"ok\ncaf\xe9\n"), "x")) == [
        RawRow(1, b'{"text":"ok"}'),
        Rejected(2, "not valid UTF-8", "byte 4 of the line"),
    ]
