"""The format and compression of a file, from its first bytes, and its name where those cannot tell."""

import codecs
import io
import json
import re

from opensloth_core.data.read.input_file import Compression, Format, InputFile
from opensloth_core.data.read.names import named_format
from opensloth_core.data.read.place import shown
from opensloth_core.data.read.storage import Storage
from opensloth_core.data.read.stored_bytes import StoredBytes, Unpacked
from opensloth_core.errors import DataError

SPACE = b" \t\r\n"
ACCEPTED = "accepted: JSON lines, one JSON list, csv, tsv, text, parquet or arrow, in UTF-8, also compressed"

_HEAD_BYTES = 1 << 16
_COMPRESSED: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bz2"),
)
_BINARY: tuple[tuple[bytes, Format], ...] = (
    (b"PAR1", "parquet"),
    (b"ARROW1\0\0", "arrow"),
    (b"\xff\xff\xff\xff", "arrow-stream"),
)
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "is a zip archive; unpack it"),
    (b"FEA1", "is a feather file of version 1; save it as parquet"),
    (codecs.BOM_UTF16_LE, "is UTF-16 text; save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "is UTF-16 text; save it as UTF-8"),
)
_LIST_OF_OBJECTS = re.compile(rb"\[\s*\{")


def sniffed(storage: Storage, location: str, name: str) -> InputFile:
    """The file at a location, with its format.

    Raises:
        DataError: it cannot be read, is empty, or is in no format that is read here.
    """
    with StoredBytes(storage.open(location), location) as stored:
        buffered = io.BufferedReader(stored, _HEAD_BYTES)
        start = buffered.peek(8)
        compression = next((codec for magic, codec in _COMPRESSED if start.startswith(magic)), None)
        stream: io.BufferedIOBase = buffered
        if compression:
            stream = io.BufferedReader(Unpacked(buffered, compression, location), _HEAD_BYTES)
        format_ = _content_format(stream, name, shown(location))
    return InputFile(location, name, format_, compression, storage.size_bytes(location))


def _content_format(stream: io.BufferedIOBase, name: str, place: str) -> Format:
    head = stream.read(_HEAD_BYTES)
    for magic, format_ in _BINARY:
        if head.startswith(magic):
            return format_
    for magic, problem in _REFUSED:
        if head.startswith(magic):
            raise DataError(f"{place}: {problem}")
    named = named_format(name)
    head = head.removeprefix(codecs.BOM_UTF8)
    while head and not (start := head.lstrip(SPACE)):
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise DataError(f"{place}: is empty; {ACCEPTED}")
    if start[1:2] == b"\0":
        raise DataError(f"{place}: is a binary file; {ACCEPTED}")
    if named and not _is_json(start):
        if b"\0" in head:
            raise DataError(f"{place}: is a binary file; {ACCEPTED}")
        return named
    if start[:1] in (b"[", b"{"):
        return "json" if start[:1] == b"{" else "json-array"
    try:
        # A cut inside a character at the end is no sign of a binary file.
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError as err:
        raise DataError(f"{place}: is a binary file; {ACCEPTED}") from err
    if "\0" in text:
        raise DataError(f"{place}: is a binary file; {ACCEPTED}")
    raise DataError(
        f"{place}: is not JSON, it starts with {text[:20]!r}; name it .csv, .tsv or .txt "
        f"if it is that; {ACCEPTED}"
    )


def _is_json(start: bytes) -> bool:
    """Whether a file named as csv or text holds JSON objects after all."""
    if start[:1] == b"[":
        return bool(_LIST_OF_OBJECTS.match(start))
    if start[:1] != b"{":
        return False
    try:
        return isinstance(json.loads(start.split(b"\n")[0]), dict)
    except (ValueError, RecursionError):
        return False
