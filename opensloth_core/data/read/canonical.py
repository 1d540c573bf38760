"""A row of another format as the text of one JSON object."""

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from opensloth_core.data.read.raw_row import LONE_SURROGATE, MAX_ROW_BYTES, NOT_UTF8, TOO_LONG, RawRow
from opensloth_core.data.row import Rejected

BINARY_VALUE = "binary value"
UNKNOWN_TYPE = "value of a type that JSON has not"

_SURROGATE_ESCAPES = range(0xDC80, 0xDD00)


class _BinaryError(Exception):
    """Raised with nothing where a value is bytes, such as an image."""


def row_source(row: Mapping[str, Any]) -> bytes:
    """The compact JSON text of a row; dates, times and decimals as strings.

    Raises:
        _BinaryError, TypeError, UnicodeEncodeError: a value that cannot be text.
    """
    return _encode(row).encode()


def canonical(line: int, row: Mapping[str, Any]) -> RawRow | Rejected:
    """A row as JSON text, or why it cannot be."""
    try:
        source = row_source(row)
        if len(source) > MAX_ROW_BYTES:
            return Rejected(line, TOO_LONG, f"more than {MAX_ROW_BYTES >> 20} MiB")
        return RawRow(line, source)
    except _BinaryError:
        return Rejected(line, BINARY_VALUE, _columns(row, _BinaryError))
    except UnicodeEncodeError as err:
        escaped = ord(err.object[err.start]) in _SURROGATE_ESCAPES
        return Rejected(line, NOT_UTF8 if escaped else LONE_SURROGATE, _columns(row, UnicodeEncodeError))
    except (TypeError, RecursionError) as err:
        return Rejected(line, UNKNOWN_TYPE, _columns(row, type(err)))


def _plain(value: object) -> str:
    """What the JSON encoder has no form for."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | timedelta | UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise _BinaryError
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode


def _columns(row: Mapping[str, Any], problem: type[Exception]) -> str:
    """The columns whose value raises `problem`."""
    found = []
    for name, value in row.items():
        try:
            row_source({name: value})
        except problem:
            found.append(ascii(name) if problem is UnicodeEncodeError else name)
    return f"in {', '.join(found)}"
