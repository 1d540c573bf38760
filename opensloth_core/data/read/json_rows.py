"""Rows of a JSON or JSON-lines file, in one pass that also hashes every byte."""

import codecs
import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from opensloth_core.data.read.json_array import ArrayElements, syntax_error
from opensloth_core.data.row import Rejected, Row
from opensloth_core.errors import DataError

NOT_JSON = "not valid JSON"
NOT_UTF8 = "not valid UTF-8"
NOT_AN_OBJECT = "not a JSON object"
LONE_SURROGATE = "lone surrogate"

_BLOCK_BYTES = 1 << 16
_SPACE = b" \t\r\n"
_ACCEPTED = "accepted: JSON lines or one JSON list, in UTF-8"


class InputReader:
    """Iterates a file's rows as `Row` or `Rejected`, in order, holding one block at a time.

    The format is found from the content, never from the name: `[` first is one JSON array, `{`
    first is one object a line. Iterate once; afterwards `digest` is that of the whole file.

    Attributes:
        path: the file.
        size_bytes: its size when opened.
        bytes_read: how far reading has come.

    Raises:
        DataError: no such file, a directory, not readable, empty, binary, or not JSON.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = _size_bytes(path)
        self.bytes_read = 0
        self._hash = hashlib.blake2b(digest_size=32)
        self._exhausted = False

    @property
    def digest(self) -> str:
        """blake2b-256 of the file's bytes, in hex; known once every row has been read."""
        assert self._exhausted, "the digest is known only after the last row"
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[Row | Rejected]:
        try:
            with self.path.open("rb") as file:
                is_array = _first_byte(file, self.path) == b"["
                file.seek(0)
                yield from self._array(file) if is_array else self._lines(file)
        except OSError as err:
            raise DataError(f"{self.path}: cannot be read: {err.strerror or err}") from err
        self._exhausted = True

    def _seen(self, data: bytes) -> None:
        self._hash.update(data)
        self.bytes_read += len(data)

    def _lines(self, file: BinaryIO) -> Iterator[Row | Rejected]:
        first = True
        for number, raw in enumerate(file, start=1):
            self._seen(raw)
            source = (raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw).strip(_SPACE)
            if not source:
                continue
            row = _parse_line(number, source)
            if first and isinstance(row, Rejected):
                _check_one_object_a_line(source, row, f"{self.path}:{number}")
            first = False
            yield row

    def _array(self, file: BinaryIO) -> Iterator[Row | Rejected]:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()

        def read(size: int) -> str:
            while True:
                data = file.read(size)
                self._seen(data)
                text = decoder.decode(data, final=not data)
                if text or not data:
                    return text

        for line, value, source in ArrayElements(read, str(self.path)):
            yield _row(line, value, "\\ud" in source or "\\uD" in source)


def _size_bytes(path: Path) -> int:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError) as err:
        raise DataError(f"{path}: no such file") from err
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {err.strerror}") from err
    if stat.S_ISDIR(status.st_mode):
        raise DataError(f"{path}: is a directory; name the .json or .jsonl file in it")
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: is not a regular file; save the rows to a file first")
    return status.st_size


def _first_byte(file: BinaryIO, path: Path) -> bytes:
    """The first byte that is no space: `[` or `{`."""
    block = file.read(_BLOCK_BYTES)
    if b"\0" in block:
        raise DataError(f"{path}: is a binary file; {_ACCEPTED}")
    block = block.removeprefix(codecs.BOM_UTF8)
    while block and not (start := block.lstrip(_SPACE)):
        block = file.read(_BLOCK_BYTES)
    if not block:
        raise DataError(f"{path}: is empty; {_ACCEPTED}")
    if start[:1] in (b"[", b"{"):
        return start[:1]
    try:
        # A cut inside a character at the end is no sign of a binary file.
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError as err:
        raise DataError(f"{path}: is a binary file; {_ACCEPTED}") from err
    raise DataError(f"{path}: is not JSON, it starts with {text[:20]!r}; {_ACCEPTED}")


def _parse_line(line: int, source: bytes) -> Row | Rejected:
    try:
        value = json.loads(source.decode())
    except UnicodeDecodeError as err:
        return Rejected(line, NOT_UTF8, f"byte {err.start + 1} of the line")
    except json.JSONDecodeError as err:
        return Rejected(line, NOT_JSON, f"{syntax_error(err)} at character {err.pos + 1}")
    except RecursionError:
        return Rejected(line, NOT_JSON, "nested too deeply")
    except ValueError as err:
        return Rejected(line, NOT_JSON, str(err).split(":")[0])
    return _row(line, value, b"\\ud" in source or b"\\uD" in source)


def _row(line: int, value: Any, may_hold_surrogates: bool) -> Row | Rejected:
    if not isinstance(value, dict):
        return Rejected(line, NOT_AN_OBJECT, f"a {type(value).__name__}")
    if may_hold_surrogates:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as err:
            half = ascii(err.object[err.start]).strip("'")
            return Rejected(line, LONE_SURROGATE, f"{half} is half of a character")
    return Row(line, value)


def _check_one_object_a_line(source: bytes, row: Rejected, place: str) -> None:
    """Tell a file laid out in another way from a file whose first line is broken."""
    way_out = "write one object a line, or put all of them into one list [...]"
    if row.reason == NOT_JSON and source[-1:] in (b"{", b"[", b","):
        raise DataError(f"{place}: one JSON object goes over several lines; {way_out}")
    if row.reason == NOT_JSON and row.detail.startswith("Extra data"):
        raise DataError(f"{place}: more than one JSON object on a line; {way_out}")
