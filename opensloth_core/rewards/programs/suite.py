"""A row's tests, in the forms that data sets have them in."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opensloth_core.errors import DataError
from opensloth_core.rewards.programs.assertions import Comparison, Setup, Statement, Step, steps_of
from opensloth_core.rewards.reference import quoted

TEST_COLUMNS = ("tests", "test", "unit_tests", "test_list")
ENTRY_POINT_COLUMNS = ("entry_point",)
_INPUTS, _OUTPUTS = ("input", "inputs", "stdin"), ("output", "outputs", "stdout", "expected_output")


@dataclass(frozen=True, slots=True)
class Assertions:
    """Tests that import from the program, in the order they are done."""

    steps: tuple[Step, ...]

    @property
    def num_tests(self) -> int:
        """How many of the steps count."""
        return sum(isinstance(step, Comparison | Statement) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What the program reads, and what it must print."""

    pairs: tuple[tuple[str, str], ...]

    @property
    def num_tests(self) -> int:
        """How many pairs there are."""
        return len(self.pairs)


Suite = Assertions | Pairs


def read_suite(value: Any, entry_point: Any = None) -> Suite:
    """The tests of a row.

    Assertions in Python as one text or a list of texts; `{"input": …, "output": …}`, a list of such, or
    one with a list on each side; each of these also as JSON text.

    Raises:
        DataError: it is none of these, has no test, or one that only pytest can call.
    """
    if not isinstance(value, str):
        value = json.dumps(value, default=str)
    return _read(value, entry_point if isinstance(entry_point, str) and entry_point.isidentifier() else None)


@lru_cache(maxsize=4096)
def _read(text: str, entry_point: str | None) -> Suite:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return Pairs(tuple(pair for part in value for pair in _pairs(part)))
    sources = [value] if isinstance(value, str) else value
    if not isinstance(sources, list) or not sources or not all(isinstance(part, str) for part in sources):
        raise _unreadable(text)
    steps = steps_of(sources, entry_point)
    if not any(not isinstance(step, Setup) for step in steps):
        raise DataError(f"reward code: the tests {quoted(text)} assert nothing")
    return Assertions(tuple(steps))


def _pairs(part: dict[str, Any]) -> list[tuple[str, str]]:
    if part.get("fn_name"):
        raise DataError(
            f"reward code: the tests call {part['fn_name']!r} with inputs; give assertions instead, such as "
            f"assert {part['fn_name']}(1) == 2"
        )
    given = next((part[name] for name in _INPUTS if name in part), None)
    wanted = next((part[name] for name in _OUTPUTS if name in part), None)
    pairs = [(given, wanted)]
    if isinstance(given, list) and isinstance(wanted, list) and len(given) == len(wanted) > 0:
        pairs = list(zip(given, wanted, strict=True))
    if any(side is None for pair in pairs for side in pair):
        raise _unreadable(json.dumps(part))
    return [(_lines(given), _lines(wanted)) for given, wanted in pairs]


def _lines(side: Any) -> str:
    return "\n".join(map(str, side)) if isinstance(side, list) else str(side)


def _unreadable(text: str) -> DataError:
    return DataError(
        f"reward code: the tests {quoted(text)} are of no known form; give Python assertions, a list of "
        'them, or [{"input": "…", "output": "…"}]'
    )
