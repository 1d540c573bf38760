"""Comparisons that are decided in the program's own process, where its objects may lie."""

import operator
import re
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from opensloth_core.rewards.programs.values import MAX_DEPTH, NotPlainError, decode, encode

PROGRAM = "solution"
"""Name of the module that the program is; tests may import from it."""
COMPARE, TRUE = "__compare__", "__true__"
"""What `assert a == b` and `assert a` call where they stand inside another statement."""
CAUGHT = "__caught__"
"""What is called with the error that a `with pytest.raises(…)` has waited for."""

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge, "is": operator.is_, "is not": operator.is_not,
    "in": lambda item, container: item in container,
    "not in": lambda item, container: item not in container,
}  # fmt: skip


def holds(sign: str, left: Any, right: Any) -> bool:
    """Whether the comparison holds.

    Plain values are compared as what they hold. An object of a class of the program's may call itself
    equal to anything: it is compared only with another one.
    """
    try:
        if sign not in ("is", "is not"):
            left, right = decode(encode(left)), decode(encode(right))
    except NotPlainError:
        if has_program_object(left) != has_program_object(right):
            return False
    return bool(OPERATORS[sign](left, right))


def is_true(value: Any) -> bool:
    """Whether a value is true that is no object of the program's, which could say so of itself."""
    return not has_program_object(value) and bool(value)


def caught(error: BaseException, pattern: str | None = None) -> SimpleNamespace:
    """What `with pytest.raises(…, match=pattern) as caught` gives.

    Raises:
        AssertionError: the pattern is not found in what the error says.
    """
    if pattern is not None and not re.search(pattern, str(error)):
        raise AssertionError
    return SimpleNamespace(value=error, type=type(error))


def has_program_object(value: Any) -> bool:
    """Whether the value is, or a container of it holds, an object of a class that the program made."""
    return any(map(_is_of_program, _leaves(value, 0)))


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    kind = type(value)
    if depth > MAX_DEPTH or kind not in (list, tuple, set, frozenset, dict):
        yield value
        return
    for part in value:
        yield from _leaves(part, depth + 1)
    if kind is dict:
        for part in value.values():
            yield from _leaves(part, depth + 1)


def _is_of_program(value: Any) -> bool:
    kind = type(value)
    home = sys.modules.get(str(kind.__module__))
    return kind.__module__ == PROGRAM or home is None or vars(home).get(kind.__name__) is not kind
