"""What crosses from a program's process: plain values, and nothing that only looks like one."""

from typing import Any

import pytest

from opensloth_core.rewards.programs.compare import OPERATORS
from opensloth_core.rewards.programs.values import MAX_DEPTH, NotPlainError, decode, encode


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 2**200, 1.5, float("inf"), -0.0, 1j, "é\ud800", b"\x00", [1, [2]], (1,), {1, 2},
     frozenset({1}), {"a": [1], 2: None, (1, 2): {3}}, [], {}],
)  # fmt: skip
def test_plain_values_cross_as_they_are(value: Any) -> None:
    crossed = decode(encode(value))
    assert crossed == value
    assert type(crossed) is type(value)


def test_only_what_its_base_holds_of_a_subclass_crosses() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __add__(self, other: object) -> Any:
            return 2

        __hash__ = int.__hash__

    crossed = decode(encode(Liar(7)))
    assert type(crossed) is int
    assert OPERATORS["=="](crossed, 7)
    assert not OPERATORS["=="](crossed, 2)


def test_objects_and_endless_nesting_do_not_cross() -> None:
    nested: list[Any] = []
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    for value in (object(), nested, [object()], len):
        with pytest.raises(NotPlainError):
            encode(value)


@pytest.mark.parametrize(
    "data", [[], ["unknown", 1], ["int", "x"], ["set", [["list", [1]]]], ["list", 1], {"a": 1}, 1.5]
)
def test_made_up_data_is_refused(data: Any) -> None:
    with pytest.raises(NotPlainError):
        decode(data)
