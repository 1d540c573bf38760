import pytest

from opensloth_core.data.read.raw_row import RawRow, parse_row
from opensloth_core.data.row import Rejected, Row


def test_the_line_of_a_row_is_that_of_its_raw_row() -> None:
    assert parse_row(RawRow(7, b'{"a": 1}')) == Row(7, {"a": 1})


def test_a_row_that_gives_a_key_twice_says_two_things() -> None:
    twice = Rejected(3, "a key is given twice", "'answer'")
    assert parse_row(RawRow(3, b'{"answer": "yes", "answer": "no"}')) == twice
    assert parse_row(RawRow(3, b'{"messages": [{"answer": 1, "b": 2, "answer": 3}]}')) == twice
    assert parse_row(RawRow(3, b'{"a": {"b": 1}, "b": {"a": 1}}')) == Row(3, {"a": {"b": 1}, "b": {"a": 1}})


def test_nan_is_a_number() -> None:
    row = parse_row(RawRow(1, b'{"b": NaN}'))
    assert isinstance(row, Row)
    assert row.value["b"] != row.value["b"]


def test_a_surrogate_pair_is_one_character() -> None:
    assert parse_row(RawRow(1, b'{"a": "\\ud83d\\ude42"}')) == Row(1, {"a": "🙂"})


@pytest.mark.parametrize(
    ("source", "reason"),
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
def test_a_broken_row_is_rejected_with_its_reason(source: bytes, reason: str) -> None:
    row = parse_row(RawRow(3, source))
    assert isinstance(row, Rejected)
    assert row.line == 3
    assert str(row).startswith(reason)
