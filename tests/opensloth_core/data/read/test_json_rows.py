import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.read.json_array import ArrayElements
from opensloth_core.data.read.json_rows import InputReader
from opensloth_core.data.row import Rejected, Row
from opensloth_core.errors import DataError


def write(folder: Path, content: bytes | str, name: str = "train.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path) -> list[Row | Rejected]:
    return list(InputReader(path))


def error(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(path), path.name)


def test_json_lines_give_rows_with_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1}\n\n{"a": 2}\n')
    assert read(path) == [Row(1, {"a": 1}), Row(3, {"a": 2})]


def test_an_array_gives_rows_with_the_lines_they_start_on(tmp_path: Path) -> None:
    path = write(tmp_path, '\n[\n  {"a": 1},\n  {\n    "a": 2\n  }, {"a": 3}\n]\n')
    assert read(path) == [Row(3, {"a": 1}), Row(4, {"a": 2}), Row(6, {"a": 3})]


@pytest.mark.parametrize("content", ['{"a": 1}\n{"a": 2}', '[{"a": 1},\n{"a": 2}]'])
@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x", "x.parquet"])
def test_the_format_is_found_from_the_content_not_from_the_name(
    tmp_path: Path, content: str, name: str
) -> None:
    assert read(write(tmp_path, content, name)) == [Row(1, {"a": 1}), Row(2, {"a": 2})]


@pytest.mark.parametrize("content", [b'{"a": 1}\r\n{"a": 2}\r\n', b'[{"a": 1},\r\n{"a": 2}]\r\n'])
def test_a_byte_order_mark_and_crlf_are_passed_over(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, b"\xef\xbb\xbf" + content)
    assert read(path) == [Row(1, {"a": 1}), Row(2, {"a": 2})]


@pytest.mark.parametrize("content", ['{"a": 1}\n\n{"b": 2}', '[{"a": 1}, 3]  \n'])
def test_the_digest_is_that_of_all_bytes_of_the_file(tmp_path: Path, content: str) -> None:
    reader = InputReader(write(tmp_path, content))
    list(reader)
    assert reader.digest == hashlib.blake2b(content.encode(), digest_size=32).hexdigest()
    assert reader.bytes_read == reader.size_bytes == len(content)


def test_the_last_of_duplicate_keys_wins_and_nan_is_read(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path, '{"a": 1, "a": 2, "b": NaN}'))
    assert isinstance(row, Row)
    assert row.value["a"] == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "not valid JSON (Expecting ',' delimiter at character 8)"),
        (b'{"a": "\xff"}', "not valid UTF-8 (byte 8 of the line)"),
        (b'["a"]', "not a JSON object (a list)"),
        (b"null", "not a JSON object (a NoneType)"),
        (b'{"a": "\\ud800"}', "lone surrogate (\\ud800 is half of a character)"),
        (b'{"\\uDC00": 1}', "lone surrogate (\\udc00 is half of a character)"),
        (b'{"a": ' + b"[" * 100_000, "not valid JSON (nested too deeply)"),
        (
            b'{"a": ' + b"1" * 5000 + b"}",
            "not valid JSON (Exceeds the limit (4300 digits) for integer string",
        ),
        (b'{"a": "x\0y"}', "not valid JSON (Invalid control character at character 9)"),
    ],
)
def test_a_broken_line_is_rejected_with_its_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    # Behind the first block, since a NUL byte there makes the file a binary one.
    good = b'{"a": 1}\n' + b" " * 70_000 + b"\n"
    first, second, third = read(write(tmp_path, good + line + b'\n{"a": 2}'))
    assert (first, third) == (Row(1, {"a": 1}), Row(4, {"a": 2}))
    assert isinstance(second, Rejected)
    assert second.line == 3
    assert str(second).startswith(reason)


def test_a_surrogate_pair_is_one_character(tmp_path: Path) -> None:
    assert read(write(tmp_path, '{"a": "\\ud83d\\ude42"}')) == [Row(1, {"a": "🙂"})]


def test_elements_of_an_array_that_are_no_objects_are_rejected(tmp_path: Path) -> None:
    rows = read(write(tmp_path, '[{"a": 1},\n"b",\n{"c": "\\ud800"}]'))
    assert [str(row) for row in rows[1:]] == [
        "not a JSON object (a str)",
        "lone surrogate (\\ud800 is half of a character)",
    ]
    assert [row.line for row in rows] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x: is empty; accepted: JSON lines or one JSON list, in UTF-8"),
        (b"\n \t\n" * 40_000, "x: is empty; accepted: JSON lines or one JSON list, in UTF-8"),
        (b"\x89PNG\0\0", "x: is a binary file; accepted: JSON lines or one JSON list, in UTF-8"),
        (b"\xff\xfe\x00", "x: is a binary file; accepted: JSON lines or one JSON list, in UTF-8"),
        (b"\x1f\x8b\x08\x08", "x: is a binary file; accepted: JSON lines or one JSON list, in UTF-8"),
        (
            b"question,answer\n1,2\n",
            "x: is not JSON, it starts with 'question,answer\\n1,2\\n'; "
            "accepted: JSON lines or one JSON list, in UTF-8",
        ),
        (
            b'{\n  "a": 1\n}\n',
            "x:1: one JSON object goes over several lines; "
            "write one object a line, or put all of them into one list [...]",
        ),
        (
            b'{"a": 1}{"a": 2}',
            "x:1: more than one JSON object on a line; "
            "write one object a line, or put all of them into one list [...]",
        ),
        (
            b'[{"a": 1},\n{"a" 2}]',
            "x:2: not valid JSON: Expecting ':' delimiter; mend it, since the file is one list",
        ),
        (b'[{"a": 1},\n', "x:2: not valid JSON: the list is not closed; mend it, since the file is one list"),
        (
            b'[{"a": 1}\n{"a": 2}]',
            "x:2: not valid JSON: ',' or ']' expected after an element; mend it, since the file is one list",
        ),
        (
            b'["a"]\n["b"]',
            "x:2: not valid JSON: more text after the end of the list; mend it, since the file is one list",
        ),
        (b'[{"a": 1},\n{"a": "\xff"}]', "x:2: not valid UTF-8"),
        (b"[" * 100_000, "x:1: not valid JSON: nested too deeply; mend it, since the file is one list"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    assert error(write(tmp_path, content, "x")) == message


def test_a_missing_file_a_directory_and_a_device_are_one_clear_line(tmp_path: Path) -> None:
    assert error(tmp_path / "none.json") == "none.json: no such file"
    assert error(tmp_path) == f"{tmp_path.name}: is a directory; name the .json or .jsonl file in it"
    assert error(Path("/dev/null")) == "null: is not a regular file; save the rows to a file first"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_one_clear_line(tmp_path: Path) -> None:
    path = write(tmp_path, "{}")
    path.chmod(0)
    assert error(path) == "train.jsonl: cannot be read: Permission denied"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(elements=st.lists(json_values, max_size=6), indent=st.sampled_from([None, 2]), size=st.integers(1, 7))
def test_an_array_read_in_small_blocks_equals_the_array_parsed_whole(
    elements: list[object], indent: int | None, size: int
) -> None:
    text = json.dumps(elements, indent=indent, ensure_ascii=False) + "\n"
    position = 0

    def small_block(_: int) -> str:
        nonlocal position
        position += size
        return text[position - size : position]

    assert [value for _, value, _ in ArrayElements(small_block, "x")] == json.loads(text)


def test_a_broken_line_17_of_a_long_array_is_named(tmp_path: Path) -> None:
    lines = ["["] + ['{"question": "a", "answer": "b"},'] * 30 + ['{"question": "a", "answer": "b"}', "]"]
    lines[16] = '{"question": "a", oops'
    path = tmp_path / "broken.json"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"broken\.json:17: not valid JSON"):
        list(InputReader(path))
