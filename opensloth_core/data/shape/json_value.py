"""Values that must be JSON, and JSON kept as text inside of JSON."""

import json
from typing import Any, NoReturn

from opensloth_core.data.row import RowError

_MAX_DEPTH = 64
# Python refuses to write integers of more digits than it reads, 4,300 at first.
_MAX_INT_BITS = 4096


def type_name(value: Any) -> str:
    """What a value is, for a reason: `a list`."""
    return "missing or null" if value is None else f"a {type(value).__name__}"


def shown(value: Any) -> str:
    """A short form of any value, for a reason."""
    if isinstance(value, str):
        return repr(value[:40])
    small = isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() < 64)
    return repr(value) if small else type_name(value)


def parse(text: str, reason: str, place: str) -> Any:
    """The value of JSON text.

    Raises:
        RowError: with `reason`; it is no JSON, or not what a file may hold (NaN, half a character).
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as err:
        raise RowError(reason, f"{place} is no JSON: {_cause(err)}") from err
    return checked(value, reason, place)


def checked(value: Any, reason: str, place: str) -> Any:
    """The value itself, when it can be written as JSON and is not nested too deeply.

    Raises:
        RowError: with `reason`; it cannot.
    """
    if type(value) is not str:
        _check(value, reason, place, 0)
    return value


def without_nulls(value: Any) -> Any:
    """The value without the members of objects that are null; call `checked` first.

    A table keeps all objects of a column in one struct type, so each has the members of all of
    them and null where it had none.
    """
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def _check(value: Any, reason: str, place: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise RowError(reason, f"{place} is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str):
                raise RowError(reason, f"{place} has a key that is {type_name(key)}")
            _check(member, reason, place, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, reason, place, depth + 1)
    elif isinstance(value, int):
        if value.bit_length() > _MAX_INT_BITS:
            raise RowError(reason, f"{place} holds an integer of {value.bit_length()} bits")
    elif not isinstance(value, str | float | None):
        raise RowError(reason, f"{place} holds {type_name(value)}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _cause(err: Exception) -> str:
    if isinstance(err, json.JSONDecodeError):
        return f"{err.msg} at character {err.pos + 1}"
    if isinstance(err, UnicodeEncodeError):
        return "it holds half a character"
    return "nested too deeply" if isinstance(err, RecursionError) else "a number that JSON has not"
