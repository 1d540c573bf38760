"""Plain values as JSON, told apart from what only looks like one.

What crosses from the program's process is data alone: an object that says it equals everything
arrives as what it is built of, or not at all.
"""

from collections.abc import Callable, Iterable
from typing import Any

MAX_DEPTH = 50
_bases: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
"""A class's bases as the interpreter knows them, whatever its metaclass says."""


class NotPlainError(Exception):
    """The value is no number, text or container of such."""


def encode(value: Any, depth: int = 0) -> Any:
    """The value as JSON; of a subclass only what its base holds, read by the base's own methods.

    Raises:
        NotPlainError: it is, or holds, something else, or is too deep.
    """
    if depth > MAX_DEPTH:
        raise NotPlainError
    if value is None or value is True or value is False:
        return value
    bases = _bases(type(value))
    if int in bases:
        number = int.__add__(value, 0)
        return number if abs(number) < 1 << 53 else ["int", hex(number)]
    if float in bases:
        return ["float", float.hex(float.__add__(value, 0.0))]
    if complex in bases:
        exact = complex.__add__(value, 0j)
        return ["complex", exact.real.hex(), exact.imag.hex()]
    if str in bases:
        return str.__getitem__(value, slice(None))
    if bytes in bases:
        return ["bytes", bytes.hex(bytes.__getitem__(value, slice(None)))]
    for kind in (list, tuple, set, frozenset):
        if kind in bases:
            return [kind.__name__, _all(kind.__iter__(value), depth)]
    if dict in bases:
        return ["dict", [_all(pair, depth) for pair in dict.items(value)]]
    raise NotPlainError


def decode(data: Any) -> Any:
    """The value of what `encode` gave.

    Raises:
        NotPlainError: the data is not of that form; whoever sent it made it up.
    """
    try:
        return _decoded(data, 0)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as err:
        raise NotPlainError from err


def _all(values: Iterable[Any], depth: int) -> list[Any]:
    return [encode(value, depth + 1) for value in values]


def _decoded(data: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise NotPlainError
    if not isinstance(data, list):
        if isinstance(data, str | int | None):
            return data
        raise NotPlainError
    kind, *parts = data
    if kind == "int":
        return int(parts[0], 16)
    if kind == "float":
        return float.fromhex(parts[0])
    if kind == "complex":
        return complex(float.fromhex(parts[0]), float.fromhex(parts[1]))
    if kind == "bytes":
        return bytes.fromhex(parts[0])
    if kind == "dict":
        return {_decoded(key, depth + 1): _decoded(value, depth + 1) for key, value in parts[0]}
    containers = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
    return containers[kind](_decoded(value, depth + 1) for value in parts[0])
