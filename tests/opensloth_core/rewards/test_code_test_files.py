"""The reward `code` counts all that files of tests check, and refuses what it would have to leave out."""

from typing import Any

import pytest

from opensloth_core.errors import DataError
from opensloth_core.rewards.programs.score import check_code_row, score_code
from tests.opensloth_core.rewards.made_completions import completions_of

PLUS = "def f(x):\n    return x + 1"
RAISES_IN_PYTEST = """import pytest
def test_a():
    assert f(1) == 2

def test_b():
    with pytest.raises(ValueError):
        f(-1)
"""
FEW = "def f(x):\n    if x < 0: raise ValueError('negative')\n    return x + 1"
RAISES_ALONE = "import pytest\ndef test_a():\n    with pytest.raises(ValueError): f(-1)"
CAUGHT = """import pytest
def test_a():
    with pytest.raises(ValueError, match='neg') as caught: f(-1)
    assert 'negative' in str(caught.value)
def test_b():
    with pytest.raises((TypeError, KeyError)) as caught: f('a')
    assert caught.type is TypeError
def test_c():
    with pytest.raises(ValueError, match='positive') as caught: f(-1)
    assert caught.value
def test_d():
    pytest.raises(ValueError, f, -1)
    pytest.raises(ValueError, f, 1)
"""
NUMPY = """import numpy as np
def test_a():
    assert len(f()) == 2
def test_b():
    np.testing.assert_allclose(f(), [1, 2])
"""
HELPER = """def verify(a, b):
    assert a == b
def test_a():
    verify(f(1), 2)
def test_b():
    verify(f(2), 4)
"""
HELPER_CALLED_ALL_OVER = """def same(*, a, b):
    assert a == b
def verify(a, b):
    same(a=a, b=b)
def test_a():
    for x in range(3):
        verify(f(x), x + 1)
    verify(b=f(1), a=2)
    verify(*(f(1), 3))
def test_b():
    def near(a, b):
        assert abs(a - b) < 1
    near(f(1), 2)
    near(f(1), 3)
if f(1) != 2:
    raise AssertionError("no")
"""
SHARED_NAMES = """def test_a():
    result = f(1)
    assert result == 2
def test_b():
    result = f(-1)
    assert result == 2
"""
CHECK = """def check(candidate):
    assert candidate(1) == 2
    assert candidate(2) == 4
    assert candidate(3) == 4
check(f)
check(no_such)
"""
NO_ASSERTION = """def test_a():
    x = 1
    f(x)
def test_b():
    f('a')
def test_c():
    import no_such_module
    assert f(1) == 2
"""

FILES = [
    (PLUS, RAISES_IN_PYTEST, 0.5),
    (FEW, RAISES_IN_PYTEST, 1.0),
    (PLUS, RAISES_ALONE, 0.0),
    (FEW, RAISES_ALONE, 1.0),
    (PLUS, ["from pytest import raises", "with raises(ValueError):\n    f(-1)", "assert f(1) == 2"], 0.5),
    (FEW, CAUGHT, 5 / 8),
    (PLUS, CAUGHT, 2 / 8),
    ("def f(): return [1, 3]", NUMPY, 0.5),
    ("def f(): return [1, 2]", NUMPY, 1.0),
    (PLUS, HELPER, 0.5),
    (FEW, HELPER, 0.5),
    (PLUS, HELPER_CALLED_ALL_OVER, 4 / 6),
    (FEW, SHARED_NAMES, 0.5),
    (PLUS, NO_ASSERTION, 1 / 3),
    (PLUS, ["def verify(a, b): assert a == b", "verify(f('a'), 2)", "verify(f(1), 2)"], 0.5),
    (PLUS, CHECK, 2 / 6),
]


def score(program: str, tests: Any) -> float | None:
    return score_code(completions_of([f"```python\n{program}\n```"], tests=[tests]))[0]


@pytest.mark.parametrize(("program", "tests", "expected"), FILES)
def test_every_test_of_a_file_counts(program: str, tests: Any, expected: float) -> None:
    assert score(program, tests) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tests", "what"),
    [
        (
            "import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef test_f(x): assert f(x) == x",
            r"test_f in line 3 of the tests has the decorator @pytest.mark.parametrize\('x', \[1, 2\]\)",
        ),
        ("def test_f(capsys): assert f(1) == 2", "test_f in line 1 of the tests takes the argument capsys"),
        (
            ["import asyncio", "async def test_f(): assert f(1) == 2"],
            "test_f in line 2 of the tests is async",
        ),
        ("class TestF:\n    def test_f(self, x): assert f(x) == 2", "test_f .* takes the argument x"),
        ("class TestF:\n    def setup_method(self): self.x = 1", "setup_method .* is called by pytest"),
    ],
)
def test_what_only_pytest_can_call_is_refused_rather_than_left_out(tests: Any, what: str) -> None:
    with pytest.raises(DataError, match=f"reward code: {what}.*write its cases out"):
        check_code_row({"tests": [*tests, "assert f(1) == 2"] if isinstance(tests, list) else tests})


def test_a_test_with_arguments_that_the_tests_call_themselves_counts() -> None:
    tests = "def test_case(x, y): assert f(x) == y\nfor x in (1, 2): test_case(x, x + 1)\ntest_case(1, 3)"
    assert score(PLUS, tests) == 0.5
