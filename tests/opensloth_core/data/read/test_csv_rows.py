from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.data.read import csv_rows
from opensloth_core.data.row import Rejected, Row

Rows = Callable[..., list[Row | Rejected]]


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_every_value_is_a_string_and_an_empty_cell_null(tmp_path: Path, rows: Rows) -> None:
    path = write(tmp_path, "a,b,c\n1,,NA\nTrue, x ,2020-01-01\n")
    assert rows(path) == [
        Row(2, {"a": "1", "b": None, "c": "NA"}),
        Row(3, {"a": "True", "b": " x ", "c": "2020-01-01"}),
    ]


def test_a_row_starts_on_its_first_line_whatever_its_quoted_values_hold(tmp_path: Path, rows: Rows) -> None:
    path = write(tmp_path, '\n"a","b"\r\n"say ""hi"", you","two\nlines"\r\n\r\n3,"x"\r\n')
    assert rows(path) == [
        Row(3, {"a": 'say "hi", you', "b": "two\nlines"}),
        Row(6, {"a": "3", "b": "x"}),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, rows: Rows) -> None:
    assert rows(write(tmp_path, "\ufeffa,b\n1,é\n")) == [Row(2, {"a": "1", "b": "é"})]


def test_tsv_is_split_at_tabs(tmp_path: Path, rows: Rows) -> None:
    assert rows(write(tmp_path, "a\tb\n1,5\t2\n", "a.tsv")) == [Row(2, {"a": "1,5", "b": "2"})]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_header_without_commas_is_split_at_the_delimiter_it_has(
    tmp_path: Path, rows: Rows, delimiter: str
) -> None:
    path = write(tmp_path, f"a{delimiter}b\n1,5{delimiter}2\n")
    assert rows(path) == [Row(2, {"a": "1,5", "b": "2"})]


def test_one_column_needs_no_delimiter(tmp_path: Path, rows: Rows) -> None:
    assert rows(write(tmp_path, 'text\n"one, two"\n')) == [Row(2, {"text": "one, two"})]


def test_a_row_of_another_width_is_rejected(tmp_path: Path, rows: Rows) -> None:
    path = write(tmp_path, "a,b\n1\n1,2\n1,2,3\n")
    assert rows(path) == [
        Rejected(2, "wrong number of values", "1 for 2 columns"),
        Row(3, {"a": "1", "b": "2"}),
        Rejected(4, "wrong number of values", "3 for 2 columns"),
    ]


def test_a_row_that_is_not_utf8_is_rejected(tmp_path: Path, rows: Rows) -> None:
    path = write(tmp_path, b"a,b\n1,caf\xe9\n2,x\n")
    assert rows(path) == [Rejected(2, "not valid UTF-8", "in 'b'"), Row(3, {"a": "2", "b": "x"})]


def test_text_behind_a_closing_quote_is_rejected_and_costs_only_its_row(tmp_path: Path, rows: Rows) -> None:
    first, second = rows(write(tmp_path, 'a,b\n"x"y,2\n3,4\n'))
    assert isinstance(first, Rejected)
    assert (first.line, first.reason) == (2, "not valid csv")
    assert second == Row(3, {"a": "3", "b": "4"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('a,b\n1,2\n3,"open\n4,5\n', "a.csv:3: a quote in this row is never closed; mend it"),
        ("a,b,a\n1,2,3\n", "a.csv: its header has a twice; rename one"),
        ('"a,b\n1,2\n', "a.csv:1: the header is not valid csv: unexpected end of data"),
    ],
)
def test_a_file_that_cannot_be_split_is_one_clear_line(
    tmp_path: Path, refused: Callable[..., str], content: str, message: str
) -> None:
    assert refused(write(tmp_path, content)) == message


def test_a_quote_without_end_does_not_fill_the_memory(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "MAX_ROW_BYTES", 1000)
    path = write(tmp_path, 'a,b\n1,2\n3,"' + "x\n" * 2000 + '"\n')
    assert refused(path) == "a.csv:3: a quote in this row is never closed; mend it"


def test_a_value_longer_than_pythons_limit_is_read(tmp_path: Path, rows: Rows) -> None:
    assert rows(write(tmp_path, f"a,b\n{'x' * 200_000},1\n")) == [Row(2, {"a": "x" * 200_000, "b": "1"})]


def test_a_nameless_column_is_named_by_its_number(tmp_path: Path, rows: Rows) -> None:
    assert rows(write(tmp_path, ",a\n0,x\n")) == [Row(2, {"Unnamed: 0": "0", "a": "x"})]


def test_a_header_alone_gives_no_rows(tmp_path: Path, rows: Rows) -> None:
    assert rows(write(tmp_path, "a,b")) == []
