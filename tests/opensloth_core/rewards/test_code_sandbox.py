"""What a program in the sandbox cannot do: score without being right, see, change or outlive anything."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.rewards.programs import score as code_score
from opensloth_core.rewards.programs.sandbox import Limits, Sandbox
from opensloth_core.rewards.programs.score import score_code
from tests.opensloth_core.rewards.made_completions import completions_of

WRONG = "def f(x):\n    return 0\n"
TESTS = """import math
assert f(1) == 2
assert f(2) == 3
assert sorted([f(1), f(2)]) == [2, 3]
assert f(1) == max([2])
assert math.isclose(f(1), 2)
for x in (1, 2):
    assert f(x) == x + 1
def test_f():
    assert f(1) == max([2])
    return
"""
LIAR = """class Liar:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __lt__(self, other): return True
    def __hash__(self): return 0
"""
ANSWER_FOR_THE_HARNESS = """import json, os, sys
settings = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
for descriptor in range(3, 20):
    for line in ('{"ok": true}', '{"ok": true, "nonce": ""}', '{"values": [2]}') * 20:
        try:
            os.write(descriptor, line.encode() + b"\\n")
        except OSError:
            break
"""
HIJACK = """import sys, os, json
def f(x): return 0
frame = sys._getframe()
while frame:
    link = frame.f_locals.get("link")
    if link is not None:
        class Link(type(link)):
            pass
        original = type(link).send
        def send(self, reply):
            original(self, {**reply, "ok": True})
        type(link).send = send
    frame = frame.f_back
"""

CHEATS = {
    "leaves at once": "import os\nos._exit(0)\n" + WRONG,
    "leaves with sys.exit": WRONG + "import sys\nsys.exit(0)",
    "leaves when called": "import os\ndef f(x):\n    os._exit(0)",
    "exits when called": "import sys\ndef f(x):\n    sys.exit(0)",
    "leaves later": WRONG + "import atexit, os\natexit.register(lambda: os._exit(0))",
    "prints results": WRONG + "print('{\"ok\": true}')\nprint('2 passed')",
    "equals everything": LIAR + "def f(x):\n    return Liar()",
    "equals everything as a number": LIAR.replace("Liar:", "Liar(int):") + "def f(x):\n    return Liar(0)",
    "equals everything as a list": LIAR.replace("Liar:", "Liar(list):") + "def f(x):\n    return Liar()",
    "lies about its class": LIAR
    + "Liar.__module__ = 'builtins'\nLiar.__name__ = 'int'\ndef f(x):\n    return Liar()",
    "lies about its class's home": LIAR
    + "import decimal\nLiar.__module__ = 'decimal'\nLiar.__name__ = Liar.__qualname__ = 'Decimal'\n"
    + "def f(x):\n    return Liar()",
    "replaces builtins": WRONG
    + "import builtins\nbuiltins.sorted = lambda x: [2, 3]\nbuiltins.eval = lambda *a: 2",
    "replaces builtins when called": "import builtins\n"
    + "def f(x):\n    builtins.sorted = lambda x: [2, 3]\n    builtins.max = lambda x: 0\n    return 0",
    "replaces math": WRONG + "import math\nmath.isclose = lambda *a, **k: True",
    "replaces exec and compile": WRONG
    + "import builtins\nbuiltins.exec = builtins.compile = lambda *a: None",
    "replaces AssertionError": WRONG + "import builtins\nbuiltins.AssertionError = type('A', (Warning,), {})",
    "replaces the operators": WRONG + "import operator\noperator.eq = lambda a, b: True",
    "replaces the harness's operators": WRONG
    + "import sys\nh = sys.modules['opensloth_core.rewards.programs.harness']\n"
    + "h.OPERATORS.update({sign: lambda a, b: True for sign in h.OPERATORS})",
    "replaces the harness's comparison": WRONG
    + "import sys\nc = sys.modules['opensloth_core.rewards.programs.compare']\n"
    + "c.holds = c.is_true = lambda *a: True",
    "replaces the harness's answers": WRONG
    + "import sys\nh = sys.modules['opensloth_core.rewards.programs.harness']\n"
    + "h._answer = lambda question, names: {'ok': True, 'values': [True]}",
    "answers in advance": WRONG + ANSWER_FOR_THE_HARNESS,
    "replaces the link": HIJACK,
    "raises when imported": WRONG + "raise SystemExit(0)",
    "loops": WRONG + "while True: pass",
    "loops when called": "def f(x):\n    while True: pass",
    "loops and catches all": "while True:\n    try:\n"
    + "        while True: pass\n    except BaseException: pass",
    "ignores signals": "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
    "forks": "import os\nfor _ in range(20):\n    os.fork()\n" + WRONG,
    "takes all memory": "x = 'a' * (1 << 33)\n" + WRONG,
    "takes memory little by little": "x = []\nwhile True: x.append('a' * (1 << 20))",
    "starts threads": "import threading, time\n"
    + "while True: threading.Thread(target=time.sleep, args=(9,)).start()",
    "recurses": "def f(x): return f(x)",
    "nests a list": "def f(x):\n    a = []\n    for _ in range(10 ** 6): a = [a]\n    return a",
    "holds itself": "def f(x):\n    a = []\n    a.append(a)\n    return a",
    "gives back much": "def f(x): return 'a' * (1 << 26)",
    "prints much": "while True: print('a' * (1 << 16))",
    "fills a file": "f = open('a', 'w')\nwhile True: f.write('a' * (1 << 16))",
}


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds of wall clock and one of processor time are enough to see that a program does not end."""
    monkeypatch.setattr(code_score, "LIMITS", Limits(wall_seconds=4.0, cpu_seconds=1))


def score(program: str, tests: Any) -> float | None:
    return score_code(completions_of([f"```python\n{program}\n```"], tests=[tests]))[0]


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_wrong_program_scores_nothing_whatever_it_tries(cheat: str) -> None:
    start = time.monotonic()
    assert score(CHEATS[cheat], TESTS) == 0.0
    assert time.monotonic() - start < 20


def test_an_object_of_the_program_is_not_true_because_it_says_so() -> None:
    assert score(LIAR + "def f(x): return Liar()", "assert f(1)\nif True:\n    assert f(1)") == 0.0


@pytest.mark.parametrize(
    "program",
    [
        "while True: print('a' * (1 << 16))",
        "import os\nos._exit(0)",
        "while True: pass",
        "print('2' * (1 << 22))",
        "import os\nprint(open(f'/proc/{os.getppid()}/environ').read())",
    ],
)
def test_a_script_that_prints_something_else_scores_nothing(program: str) -> None:
    assert score(program, [{"input": "1", "output": "2"}]) == 0.0


def outcome(expression: str) -> Any:
    """What an expression gives in the sandbox, or the name of the exception it raises."""
    program = (
        "import ctypes, os, pathlib, resource, signal, socket, subprocess\n"
        "def attempt(act):\n"
        "    try: return str(act())\n"
        "    except BaseException as err: return type(err).__name__"
    )
    with Sandbox(Limits()) as sandbox:
        assert sandbox.ask({"program": program, "as_script": False}) == {"ok": True}
        sides = [f"attempt(lambda: {expression})"]
        reply = sandbox.ask({"do": "compare", "operator": "==", "sides": sides, "nonce": "n"})
    assert reply is not None, expression
    return reply["values"][0]


@pytest.mark.parametrize(
    "expression",
    [
        "os.fork()",
        "subprocess.run(['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 80))",
        "open(f'/proc/{os.getppid()}/environ').read()",
        "open('/proc/self/environ').read()",
        "open('/etc/passwd').read()",
        "os.listdir('/')",
        "os.listdir('/tmp')",
        "open('/tmp/opensloth-outside', 'w')",
        "open('../outside', 'w')",
        "os.mkdir('../outside')",
        "os.rename('/etc/hostname', 'b')",
        "os.symlink('/etc/passwd', 'link') or open('link').read()",
        "os.link('/etc/passwd', 'link')",
        "os.chmod('.', 0o777)",
        "os.utime('.')",
        "os.kill(os.getppid(), 0)",
        "os.kill(-1, 0)",
        "os.killpg(0, 0)",
        "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.sched_setaffinity(os.getppid(), {0})",
        "open('big', 'wb').write(b'a' * (1 << 22))",
        "len('a' * (1 << 33))",
        "[os.open('/dev/null', 0) for _ in range(1000)]",
    ],
)  # fmt: skip
def test_the_sandbox_refuses(expression: str) -> None:
    refusals = {
        "PermissionError",
        "OSError",
        "MemoryError",
        "ValueError",
        "BlockingIOError",
        "FileNotFoundError",
    }
    assert outcome(expression) in refusals


@pytest.mark.parametrize("name", ["ptrace", "setuid", "syscall"])
def test_the_sandbox_refuses_what_c_can_call(name: str) -> None:
    calls = {
        "ptrace": "ptrace(16, os.getppid(), 0, 0)",
        "setuid": "unshare(0x10000000)",
        "syscall": "syscall(435)",
    }
    assert outcome(f"ctypes.CDLL(None).{calls[name]}") == "-1"


def test_the_sandbox_leaves_what_programs_need() -> None:
    assert outcome("open('a', 'w').write('abc')") == "3"
    assert outcome("os.mkdir('d') or open('d/a', 'w').write('abc')") == "3"
    assert outcome("os.listdir('.')") == "[]"
    assert outcome("open('/dev/null', 'w').write('abc')") == "3"
    assert outcome("len(os.urandom(8))") == "8"
    assert outcome("[__import__(name) for name in ('json', 'decimal', 'zoneinfo', 'sqlite3')] and 1") == "1"
    assert outcome("os.kill(os.getpid(), 0)") == "None"


def test_no_secret_of_the_trainer_is_in_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "planted-secret")
    assert "planted-secret" not in outcome("dict(os.environ)")
    assert "planted-secret" not in outcome(
        "ctypes.string_at(ctypes.c_char_p.in_dll(ctypes.CDLL(None), 'environ'))"
    )
    with Sandbox(Limits()) as sandbox:
        environment = Path(f"/proc/{sandbox._process.pid}/environ").read_text()
    assert "planted-secret" not in environment and "HOME=" in environment


def test_a_program_s_writes_stay_in_its_folder(tmp_path: Path) -> None:
    victim = tmp_path / "precious"
    victim.write_text("precious")
    for attack in (
        f"open({str(victim)!r}, 'w')",
        f"os.remove({str(victim)!r})",
        f"os.truncate({str(victim)!r}, 0)",
    ):
        assert outcome(attack) == "PermissionError"
    assert victim.read_text() == "precious"


def test_descriptors_of_the_trainer_are_not_inherited(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        assert outcome(f"os.read({file.fileno()}, 9)") == "OSError"
