"""A row of the input before it is parsed, and what parsing makes of it.

The process that reads only splits and hashes; the ones that tokenize call `parse_row`.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from opensloth_core.data.read.memory import STEP_BYTES, memory_ceiling
from opensloth_core.data.row import Rejected, Row

NOT_JSON = "not valid JSON"
NOT_UTF8 = "not valid UTF-8"
NOT_AN_OBJECT = "not a JSON object"
LONE_SURROGATE = "lone surrogate"
KEY_TWICE = "a key is given twice"

TOO_LONG = "too long"

MAX_ROW_BYTES = 64 << 20
"""Longest row that is read; a longer one is the sign of a file laid out in another way."""

_LONG_BYTES = 1 << 20
"""Rows from here on are parsed under a ceiling; a shorter one takes no more than 100 MB."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """The text of one JSON object, as found, and the line it starts on, counted from 1."""

    line: int
    source: bytes


class _KeyTwiceError(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; one with two values for a key says two things."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _KeyTwiceError(Counter(key for key, _ in pairs).most_common(1)[0][0])
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def parse_row(raw: RawRow) -> Row | Rejected:
    """The object of a raw row, or why it is none."""
    source = raw.source
    try:
        value = _decoded(source)
    except MemoryError:
        return Rejected(raw.line, TOO_LONG, f"parsing it takes more than {STEP_BYTES >> 20} MiB of memory")
    except _KeyTwiceError as err:
        return Rejected(raw.line, KEY_TWICE, f"{str(err)[:40]!r}")
    except UnicodeDecodeError as err:
        return Rejected(raw.line, NOT_UTF8, f"byte {err.start + 1} of the line")
    except json.JSONDecodeError as err:
        return Rejected(raw.line, NOT_JSON, f"{syntax_error(err)} at character {err.pos + 1}")
    except RecursionError:
        return Rejected(raw.line, NOT_JSON, "nested too deeply")
    except ValueError as err:
        return Rejected(raw.line, NOT_JSON, str(err).split(":")[0])
    if not isinstance(value, dict):
        return Rejected(raw.line, NOT_AN_OBJECT, f"a {type(value).__name__}")
    if b"\\ud" in source or b"\\uD" in source:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as err:
            half = ascii(err.object[err.start]).strip("'")
            return Rejected(raw.line, LONE_SURROGATE, f"{half} is half of a character")
    return Row(raw.line, value)


def _decoded(source: bytes) -> Any:
    if len(source) < _LONG_BYTES:
        return _DECODER.decode(source.decode())
    # An empty list takes 3 characters in a file and 64 bytes in memory.
    with memory_ceiling():
        return _DECODER.decode(source.decode())


def syntax_error(err: json.JSONDecodeError) -> str:
    """What is wrong, without the "at" that json ends some of its messages with."""
    return err.msg.removesuffix(" at").removesuffix(" starting")
