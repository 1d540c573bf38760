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
        yield from _rows(lines, delimiter, place)
    finally:
        # Closing is the owner's, and a wrapper that is dropped closes what it wraps.
        lines.detach()
        buffered.detach()


def _rows(lines: io.TextIOWrapper, delimiter: str, place: str) -> Iterator[RawRow | Rejected]:
    num_blank, header = 0, ""
    for header in lines:
        if header.strip("\r\n "):
            break
        num_blank += 1
    else:
        return
    delimiter = _delimiter(header, delimiter)
    # Strict, since a stray quote would otherwise swallow rows in silence.
    reader = csv.reader(chain([header], lines), delimiter=delimiter, strict=True)
    try:
        columns = _columns(next(reader), place)
    except csv.Error as err:
        raise DataError(f"{place}:{num_blank + 1}: the header is not valid csv: {err}") from err
    while True:
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
