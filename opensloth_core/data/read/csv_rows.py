"""Rows of a csv or tsv file: every value a string, an empty cell null, columns from the header."""

import csv
import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, cast

from opensloth_core.data.read.canonical import canonical
from opensloth_core.data.read.raw_row import MAX_ROW_BYTES, RawRow
from opensloth_core.data.read.stored_bytes import BLOCK_BYTES
from opensloth_core.data.row import Rejected
from opensloth_core.errors import DataError

NOT_CSV = "not valid csv"
WRONG_WIDTH = "wrong number of values"

MAX_COLUMNS = 10_000
"""More is the sign of a file laid out in another way."""

_OTHER_DELIMITERS = (";", "\t", "|")


def csv_rows(stream: BinaryIO, delimiter: str, place: str) -> Iterator[RawRow | Rejected]:
    """The rows below the header, each with the line it starts on.

    A header without the delimiter that holds a `;`, tab or `|` is split at that instead.

    Raises:
        DataError: the header has a name twice or cannot be read, or a quote is never closed.
    """
    # Python's limit of 128 KiB a value is shorter than many a document.
    csv.field_size_limit(MAX_ROW_BYTES)
    buffered = io.BufferedReader(cast(io.RawIOBase, stream), BLOCK_BYTES)
    lines = io.TextIOWrapper(buffered, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
    try:
        yield from _rows(_Lines(lines, place), delimiter, place)
    finally:
        # Closing is the owner's, and a wrapper that is dropped closes what it wraps.
        lines.detach()
        buffered.detach()


class _Lines:
    """The lines of a file, of which one row may take only so many characters."""

    def __init__(self, text: io.TextIOWrapper, place: str) -> None:
        self._text = text
        self._place = place
        self._row_start = 1
        self._num_lines = 0
        self._held_chars = 0

    def __iter__(self) -> Iterator[str]:
        readline, limit = self._text.readline, MAX_ROW_BYTES + 1
        while line := readline(limit):
            self._held_chars += len(line)
            if self._held_chars > MAX_ROW_BYTES:
                raise DataError(f"{self._place}:{self._row_start}: {self._problem()}")
            self._num_lines += 1
            yield line

    def _problem(self) -> str:
        if self._num_lines >= self._row_start:
            return "a quote in this row is never closed; mend it"
        return f"a line of more than {MAX_ROW_BYTES >> 20} MiB; write one row a line"

    def end_row(self) -> None:
        """What was read so far belongs to rows that are done."""
        self._row_start = self._num_lines + 1
        self._held_chars = 0


def _rows(lines: _Lines, delimiter: str, place: str) -> Iterator[RawRow | Rejected]:
    num_blank, header = 0, ""
    each = iter(lines)
    for header in each:
        if header.strip("\r\n "):
            break
        num_blank += 1
        lines.end_row()
    else:
        return
    delimiter = _delimiter(header, delimiter)
    if header.count(delimiter) >= MAX_COLUMNS:
        raise DataError(f"{place}:{num_blank + 1}: the header has more than {MAX_COLUMNS:,} columns")
    # Strict, since a stray quote would otherwise swallow rows in silence.
    reader = csv.reader(chain([header], each), delimiter=delimiter, strict=True)
    try:
        columns = _columns(next(reader), place)
    except csv.Error as err:
        raise DataError(f"{place}:{num_blank + 1}: the header is not valid csv: {err}") from err
    while True:
        lines.end_row()
        line = num_blank + reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as err:
            _refuse_open_quote(err, place, line)
            yield Rejected(line, NOT_CSV, str(err))
            continue
        if not values or values == [""]:
            continue
        if len(values) != len(columns):
            yield Rejected(line, WRONG_WIDTH, f"{len(values)} for {len(columns)} columns")
            continue
        yield canonical(line, {name: value or None for name, value in zip(columns, values, strict=True)})


def _delimiter(header: str, expected: str) -> str:
    if expected in header:
        return expected
    return next((other for other in _OTHER_DELIMITERS if other in header), expected)


def _columns(names: list[str], place: str) -> list[str]:
    """The header's names; a nameless column, as pandas writes for its index, becomes `Unnamed: 0`."""
    columns = [name.strip() or f"Unnamed: {number}" for number, name in enumerate(names)]
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise DataError(f"{place}: its header has {', '.join(twice)} twice; rename one")
    return columns


def _refuse_open_quote(err: csv.Error, place: str, line: int) -> None:
    """A quote that is never closed takes all the rows behind it; that is not one bad row."""
    if "unexpected end of data" in str(err) or "field larger" in str(err):
        raise DataError(f"{place}:{line}: a quote in this row is never closed; mend it") from err
