"""Rows that are lines: JSON lines and plain text."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from opensloth_core.data.read.canonical import row_source
from opensloth_core.data.read.raw_row import MAX_ROW_BYTES, NOT_JSON, NOT_UTF8, RawRow, parse_row
from opensloth_core.data.read.sniff import SPACE
from opensloth_core.data.read.stored_bytes import BLOCK_BYTES
from opensloth_core.data.row import Rejected
from opensloth_core.errors import DataError


def json_lines(stream: BinaryIO, place: str) -> Iterator[RawRow | Rejected]:
    """One row a line that is not blank, not parsed.

    Raises:
        DataError: the first row shows that the file is laid out in another way, or a line is too long.
    """
    first = True
    for number, lines in _line_blocks(stream, place):
        for line, text in enumerate(lines, number):
            source = text.strip(SPACE)
            if source:
                row = RawRow(line, source)
                if first:
                    _check_one_object_a_line(row, place)
                    first = False
                yield row


def text_lines(stream: BinaryIO, place: str) -> Iterator[RawRow | Rejected]:
    """`{"text": line}` for each line that is not blank: one line is one example.

    Spaces inside and at the start of a line stay. A line is what ends in a line feed, as in the text
    loader of Hugging Face datasets; a document of several lines needs a format with rows, such as JSON lines.

    Raises:
        DataError: a line is too long.
    """
    for number, lines in _line_blocks(stream, place):
        for line, source in enumerate(lines, number):
            if not source.strip(SPACE):
                continue
            try:
                text = source.removesuffix(b"\r").decode()
            except UnicodeDecodeError as err:
                yield Rejected(line, NOT_UTF8, f"byte {err.start + 1} of the line")
            else:
                yield RawRow(line, row_source({"text": text}))


def _line_blocks(stream: BinaryIO, place: str) -> Iterator[tuple[int, list[bytes]]]:
    """The number of a block's first line, and its lines without their line feeds."""
    number, parts, held = 1, [b""], 0
    start = stream.read(BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
    while block := start or stream.read(BLOCK_BYTES):
        start = b""
        lines = block.split(b"\n")
        parts.append(lines[0])
        held += len(lines[0])
        if held > MAX_ROW_BYTES:
            raise DataError(
                f"{place}:{number}: a line of more than {MAX_ROW_BYTES >> 20} MiB; write one row a line"
            )
        if len(lines) > 1:
            lines[0] = b"".join(parts)
            rest = lines.pop()
            yield number, lines
            number += len(lines)
            parts, held = [rest], len(rest)
    yield number, [b"".join(parts)]


def _check_one_object_a_line(raw: RawRow, place: str) -> None:
    """Tell a file laid out in another way from a file whose first line is broken."""
    row = parse_row(raw)
    if not isinstance(row, Rejected) or row.reason != NOT_JSON:
        return
    way_out = "write one object a line, or put all of them into one list [...]"
    if raw.source[-1:] in (b"{", b"[", b","):
        raise DataError(f"{place}:{raw.line}: one JSON object goes over several lines; {way_out}")
    if row.detail.startswith("Extra data"):
        raise DataError(f"{place}:{raw.line}: more than one JSON object on a line; {way_out}")
