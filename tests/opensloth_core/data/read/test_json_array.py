import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.read import json_array
from opensloth_core.data.read.json_array import ArrayElements, array_rows
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.row import Row
from opensloth_core.errors import DataError

MEND = "mend it, since the file is one list"


def test_an_array_gives_rows_with_the_lines_they_start_on(
    tmp_path: Path, rows: Callable[..., list[object]]
) -> None:
    path = tmp_path / "a.json"
    path.write_text('\ufeff\n[\n  {"a": 1},\n  {\n    "a": 2\n  }, {"a": 3}\r\n]\n')
    assert rows(path) == [Row(3, {"a": 1}), Row(4, {"a": 2}), Row(6, {"a": 3})]


def test_the_source_of_an_element_is_its_text_as_found() -> None:
    stream = io.BytesIO('[ { "a":\n"é\\u00e9" } , 3]'.encode())
    assert list(array_rows(stream, "x")) == [RawRow(1, '{ "a":\n"é\\u00e9" }'.encode()), RawRow(2, b"3")]


def test_elements_that_are_no_objects_are_rejected(tmp_path: Path, rows: Callable[..., list[object]]) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1},\n"b",\n{"c": "\\ud800"}]')
    assert [str(row) for row in rows(path)[1:]] == [
        "not a JSON object (a str)",
        "lone surrogate (\\ud800 is half of a character)",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"a": 1},\n{"a" 2}]', f"x:2: not valid JSON: Expecting ':' delimiter; {MEND}"),
        (b'[{"a": 1},\n', f"x:2: not valid JSON: the list is not closed; {MEND}"),
        (b'[{"a": 1},\n{"a": "tw', f"x:2: not valid JSON: Unterminated string; {MEND}"),
        (b'[{"a": 1}\n{"a": 2}]', f"x:2: not valid JSON: ',' or ']' expected after an element; {MEND}"),
        (b'["a"]\n["b"]', f"x:2: not valid JSON: more text after the end of the list; {MEND}"),
        (b'[{"a": 1},\n{"a": "\xff"}]', "x:2: not valid UTF-8"),
        (b"[" * 100_000, f"x:1: not valid JSON: nested too deeply; {MEND}"),
    ],
)
def test_a_broken_array_is_one_clear_line(
    tmp_path: Path, refused: Callable[..., str], content: bytes, message: str
) -> None:
    (tmp_path / "x").write_bytes(content)
    assert refused(tmp_path / "x") == message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(elements=st.lists(json_values, max_size=6), indent=st.sampled_from([None, 2]), size=st.integers(1, 7))
def test_an_array_in_small_blocks_equals_the_array_parsed_whole(
    elements: list[object], indent: int | None, size: int
) -> None:
    text = json.dumps(elements, indent=indent, ensure_ascii=False) + "\n"
    stream = io.StringIO(text)
    assert [
        json.loads(source) for _, source in ArrayElements(lambda _: stream.read(size), "x")
    ] == json.loads(text)


def test_a_syntax_error_is_told_without_reading_the_rest_of_the_file() -> None:
    stream = io.BytesIO(b'[{"a": 1},\n{"a" 2},' + b'{"a": 1},\n' * 1_000_000 + b"{}]")
    with pytest.raises(DataError, match=r"^x:2: not valid JSON: Expecting ':' delimiter"):
        list(array_rows(stream, "x"))
    assert stream.tell() < 3 << 20


def test_an_element_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_array, "MAX_ROW_BYTES", 1 << 20)
    stream = io.BytesIO(b'[{"a": 1},\n"' + b"x" * (64 << 20))
    with pytest.raises(DataError, match=r"^x:2: not valid JSON: an element of more than 1 MiB"):
        list(array_rows(stream, "x"))
    assert stream.tell() < 8 << 20
