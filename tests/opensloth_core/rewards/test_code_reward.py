"""The reward `code`: programs are scored by their tests, and by nothing else that they do."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.errors import ConfigError, DataError
from opensloth_core.rewards.programs import score as code_score
from opensloth_core.rewards.programs.block import last_program
from opensloth_core.rewards.programs.sandbox import Limits, Sandbox
from opensloth_core.rewards.programs.score import check_code_row, score_code
from tests.opensloth_core.rewards.made_completions import completions_of

SORT = "def f(x):\n    return sorted(x)"
PLUS = "def f(x):\n    return x + 1"
STACK = """class Stack:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def pop(self): return self.items.pop()
    def __len__(self): return len(self.items)
"""
FUNCTIONS = """import pytest
from solution import f

def test_small():
    assert f(1) == 2
    assert f(2) == 4

def test_large():
    x = 100
    assert f(x) == 101
"""
HUMAN_EVAL = """METADATA = {'author': 'x'}

def check(candidate):
    assert candidate(1) == 2
    assert candidate(2) == 4
    assert candidate(3) == 4
"""
UNITTEST = """import unittest
class TestF(unittest.TestCase):
    def setUp(self): self.one = 1
    def test_right(self): self.assertEqual(f(self.one), 2)
    def test_wrong(self): self.assertEqual(f(self.one), 3)
if __name__ == "__main__":
    unittest.main()
"""
STACK_TESTS = (
    "s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2\nassert len(s) == 1\nassert s.pop() == 1"
)
COUNTER = "from collections import Counter\ndef f(x): return Counter(x)"
VECTOR = "class V:\n    def __init__(s, x): s.x = x\n    def __eq__(s, o): return s.x == o.x"
ARRAY = "import numpy as np\ndef f(x): return np.array(x)"
DECIMAL = "from decimal import Decimal\ndef f(x): return Decimal(x)"
LOOP = "for i in range(5):\n    assert f(i) == i + 1"
RAISES = "try:\n    f('a')\n    assert False\nexcept TypeError:\n    pass"

PASSES = [
    (PLUS, "assert f(1) == 2", 1.0),
    (PLUS, "assert f(1) == 3", 0.0),
    (PLUS, ["assert f(1) == 2", "assert f(2) == 3", "assert f(3) == 5", "assert f(4) == 0"], 0.5),
    (PLUS, "assert f(1) == 2\nassert f(2) == 3\nassert f(3) == 5", 2 / 3),
    (PLUS, json.dumps(["assert f(1) == 2", "assert f(1) == 3"]), 0.5),
    (PLUS, ["import math", "assert math.isclose(f(1.5), 2.5)"], 1.0),
    (PLUS, "assert 2 == f(1)\nassert f(1) != 3\nassert f(1) < 3\nassert 1 < f(1)", 1.0),
    (PLUS, "assert f(1) in [1, 2]\nassert f(1) not in {3}\nassert f(1) in [3]", 2 / 3),
    (PLUS, "assert f(1)\nassert not f(-1)\nassert f(1) == 2 and f(2) == 3", 1.0),
    (PLUS, "assert f(f(1)) == f(2)", 1.0),
    (PLUS, "assert f(1.0) == 2\nassert abs(f(0.1) - 1.1) < 1e-9", 1.0),
    (PLUS, "assert f(10**30) == 10**30 + 1\nassert f(2**60) == 1152921504606846977", 1.0),
    (PLUS, LOOP, 1.0),
    (PLUS, RAISES, 1.0),
    (PLUS, FUNCTIONS, 2 / 3),
    (PLUS, FUNCTIONS + "\ntest_small()\ntest_large()", 2 / 3),
    (PLUS, HUMAN_EVAL + "\ncheck(f)", 2 / 3),
    (PLUS, UNITTEST, 0.5),
    (SORT, "assert f([3, 1, 2]) == [1, 2, 3]", 1.0),
    (SORT, "assert f([3, 1, 2]) == (1, 2, 3)", 0.0),
    ("def f(x): return tuple(x), {'a': {1, 2}}, None", "assert f([1]) == ((1,), {'a': {2, 1}}, None)", 1.0),
    ("def f(x): return None", "assert f(1) is None\nassert f(1) == 0", 0.5),
    ("def f(x): return 1", "assert f(1) is True\nassert f(1) == True", 0.5),
    ("def f(x): return float('inf'), -0.0, 1j, b'a', 'é\\n'", "assert f(1)[2:] == (1j, b'a', 'é\\n')", 1.0),
    ("def f(x): x.append(1)", "a = [0]\nf(a)\nassert a == [0, 1]", 1.0),
    (STACK, STACK_TESTS, 1.0),
    (COUNTER, "assert f('aab') == {'a': 2, 'b': 1}", 1.0),
    (VECTOR, "assert V(1) == V(1)\nassert V(1) == V(2)", 0.5),
    (ARRAY, "assert f([1, 2]).sum() == 3\nassert (f([1, 2]) == f((1, 2))).all()", 1.0),
    (DECIMAL, "assert f('2') == 2\nassert 2 == f('2')", 1.0),
    ("print('hello')\n" + PLUS, "assert f(1) == 2", 1.0),
    (PLUS + "\nif __name__ == '__main__':\n    print(f(int(input())))", "assert f(1) == 2", 1.0),
    ("import threading\n" + PLUS, "t = threading.Thread(target=f, args=(1,))\nassert f(1) == 2", 1.0),
    ("open('a.txt', 'w').write('1')\ndef f(x): return open('a.txt').read()", "assert f(0) == '1'", 1.0),
    ("def f(x: return", "assert f(1) == 2", 0.0),
    ("1 / 0\n" + PLUS, "assert f(1) == 2", 0.0),
    ("def g(x): return 2", "assert f(1) == 2", 0.0),
    ("print(int(input()) + 1)", [{"input": "1\n", "output": "2\n"}, {"input": "2", "output": "4"}], 0.5),
    ("print(int(input()) + 1)", {"inputs": ["1", "2"], "outputs": ["2", "3"]}, 1.0),
    ("print(int(input()) + 1)", '{"input": ["1", "2"], "output": ["2\\n", "0"]}', 0.5),
    ("a = input()\nprint(a + '  \\n')", [{"input": "x", "output": "x"}], 1.0),
    ("print(1)\nraise SystemExit", [{"input": "", "output": "1"}], 1.0),
    ("print(1)\nexit(0)", [{"input": "", "output": "1"}], 1.0),
    ("print(1)\nquit()", [{"input": "", "output": "1"}], 1.0),
    ("print(1)\nexit(1)", [{"input": "", "output": "1"}], 0.0),
    ("print(1)\n1 / 0", [{"input": "", "output": "1"}], 0.0),
    ("print('1 2')", [{"input": "", "output": "1\n2"}], 0.0),
    ("import sys\nprint(sum(map(int, sys.stdin)))", [{"input": "1\n" * 100_000, "output": 100_000}], 1.0),
    ("if __name__ == '__main__':\n    print(1)", [{"input": "", "output": "1"}], 1.0),
]  # fmt: skip


def fenced(program: str) -> str:
    return f"Here it is:\n```python\n{program}\n```\nDone."


def score(program: str, tests: Any, **columns: list[Any]) -> float | None:
    return score_code(completions_of([fenced(program)], tests=[tests], **columns))[0]


@pytest.mark.parametrize(("program", "tests", "expected"), PASSES)
def test_a_program_scores_the_share_of_tests_it_passes(program: str, tests: Any, expected: float) -> None:
    assert score(program, tests) == pytest.approx(expected)


def test_programs_run_side_by_side_and_score_in_order() -> None:
    programs = [f"def f(x): return x + {i}" for i in range(8)]
    completions = completions_of([fenced(p) for p in programs], tests=["assert f(1) == 4"] * 7 + [None])
    assert score_code(completions) == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, None]


def test_check_is_called_with_the_row_s_entry_point() -> None:
    assert score(PLUS, HUMAN_EVAL, entry_point=["f"]) == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="assert nothing"):
        score(PLUS, HUMAN_EVAL)


@pytest.mark.parametrize("column", ["tests", "test", "unit_tests", "test_list"])
def test_the_tests_are_found_by_the_column_s_name(column: str) -> None:
    assert score_code(completions_of([fenced(PLUS)], **{column: ["assert f(1) == 2"]})) == [1.0]


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```python\na\n```", "a\n"),
        ("```py\na\n```\n```python\nb\n```", "b\n"),
        ("```python\na\n```\n```\noutput\n```", "a\n"),
        ("```\na\n```", "a\n"),
        ("```bash\npip install x\n```", None),
        ("```python\na\n```\n```text\nb\n```", "a\n"),
        ("```python\na", None),
        ("```python\na\n```\nBetter:\n```python\nb", "a\n"),
        ("<think>```python\na\n```</think>```python\nb\n```", "b\n"),
        ("<think>```python\na\n```", None),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''\n"),
        ("```python\n\n```", None),
        ("print(1)", None),
        ("", None),
    ],
)
def test_the_last_closed_python_block_is_the_program(text: str, program: str | None) -> None:
    assert last_program(text) == program


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("x = 1", "assert nothing"),
        ("", "assert nothing"),
        ("assert f(1 ==", "are not Python"),
        (["assert f(1) == 2", "Try it out"], "are not Python"),
        ([], "of no known form"),
        (3, "of no known form"),
        ([1, 2], "of no known form"),
        ([{"input": "1"}], "of no known form"),
        ({"fn_name": "f", "inputs": [[1]], "outputs": [2]}, r"call 'f' with inputs; .* assert f\(1\) == 2"),
    ],
)
def test_tests_of_no_known_form_are_named(tests: Any, message: str) -> None:
    with pytest.raises(DataError, match=f"reward code: the tests .*{message}"):
        check_code_row({"tests": tests})


def test_a_machine_without_a_sandbox_is_an_error_unless_limits_are_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A processor whose system calls nobody has listed stands for a kernel that cannot.
    start = (
        "import sys, platform; platform.machine = lambda: 'vax'; sys.path.insert(0, sys.argv.pop(1)); "
        "from opensloth_core.rewards.programs.harness import main; main()"
    )
    monkeypatch.setattr("opensloth_core.rewards.programs.sandbox._START", start)
    with pytest.raises(
        ConfigError, match=r"sandbox \(no list of system calls for vax\).*OPENSLOTH_CODE_SANDBOX"
    ):
        score(PLUS, "assert f(1) == 2")
    monkeypatch.setenv("OPENSLOTH_CODE_SANDBOX", "limits")
    assert score(PLUS, "assert f(1) == 2") == 1.0


def test_the_wall_clock_ends_a_program_that_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_score, "LIMITS", Limits(wall_seconds=1.0))
    start = time.monotonic()
    assert score("import time\n" + PLUS, "assert f(1) == 2\ntime.sleep(60)\nassert f(2) == 3") == 0.5
    assert time.monotonic() - start < 3


def test_leaving_the_sandbox_leaves_nothing() -> None:
    with Sandbox(Limits()) as sandbox:
        sandbox.ask({"program": "open('a', 'w').write('a')", "as_script": False})
        pid, folder = sandbox._process.pid, Path(sandbox._folder.name)
        assert [path.name for path in folder.iterdir()] == ["a"]
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
