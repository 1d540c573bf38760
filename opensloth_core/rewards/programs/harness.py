"""Runs inside the sandbox: confines itself, runs the program, and does what the tester asks of it.

The tester is in another process, decides alone what is right, and never tells what it expects.
"""

import builtins
import collections
import functools
import itertools
import json
import math
import operator
import os
import re
import sys
import types
from typing import Any

from opensloth_core.rewards.programs import compare, confine
from opensloth_core.rewards.programs.compare import CAUGHT, COMPARE, PROGRAM, TRUE
from opensloth_core.rewards.programs.values import NotPlainError, encode

builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]
"""What Python's `site` defines, which is not loaded in here."""
_OURS = (builtins, collections, functools, itertools, json, math, operator, os, re, compare)
_AS_THEY_WERE = [(vars(module), dict(vars(module))) for module in _OURS]
"""What tests use most, so that `math.isclose = lambda *a: True` lasts no longer than the program."""
_OURS_IN_TESTS = {
    # Of their own: what a call changes in Python's does not reach the rest of a test.
    "__builtins__": dict(vars(builtins)),
    COMPARE: compare.holds,
    TRUE: compare.is_true,
    CAUGHT: compare.caught,
}


class _Link:
    """The tester's questions, and where the replies go."""

    def __init__(self, questions: int, replies: int) -> None:
        self._questions, self._replies = questions, replies
        self._received = b""

    def receive(self) -> dict[str, Any]:
        while b"\n" not in self._received:
            part = os.read(self._questions, 65536)
            if not part:
                os._exit(0)
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        question: dict[str, Any] = json.loads(line)
        return question

    def send(self, reply: dict[str, Any]) -> None:
        data = json.dumps(reply).encode() + b"\n"
        while data:
            data = data[os.write(self._replies, data) :]


def main() -> None:
    """Serve the tester; `sys.argv` is one JSON object of settings."""
    settings = json.loads(sys.argv[1])
    link = _Link(settings["questions"], settings["replies"])
    problem = _confine(settings)
    if problem and settings["must_confine"]:
        link.send({"problem": problem})
        return
    link.send({"ready": True})
    question = link.receive()
    sys.argv[:] = [f"{PROGRAM}.py"]
    if question["as_script"]:
        _run_script(question["program"], link)
        return
    names = _run_program(question["program"])
    link.send({"ok": names is not None})
    while names is not None:
        question = link.receive()
        _restore_modules()
        link.send({"nonce": question["nonce"], **_answer(question, names)})


def _confine(settings: dict[str, Any]) -> str | None:
    """What could not be confined, if anything."""
    confine.die_with_parent()
    confine.set_limits(settings["cpu_seconds"], settings["memory_bytes"], settings["file_bytes"])
    sys.path[:] = settings["path"]
    problems = []
    for step in (
        confine.drop_privileges,
        lambda: confine.confine_files(settings["readable"], os.getcwd()),  # noqa: PTH109
        confine.confine_calls,
    ):
        try:
            step()
        except OSError as err:
            problems.append(err.strerror or str(err))
    if problems:
        confine.forbid_processes_by_limit()
    return "; ".join(problems)


def _run_script(program: str, link: _Link) -> None:
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    exec(compile(program, f"{PROGRAM}.py", "exec"), module.__dict__)
    sys.stdout.flush()
    link.send({"ok": True})


def _run_program(program: str) -> dict[str, Any] | None:
    """The names that the tests see; `None` where the program fails or ends by itself."""
    module = types.ModuleType(PROGRAM)
    sys.modules[PROGRAM] = module
    try:
        exec(compile(program, f"{PROGRAM}.py", "exec"), module.__dict__)
    except BaseException:  # SystemExit too: a program that leaves has passed nothing
        return None
    return {**module.__dict__, **_OURS_IN_TESTS}


def _restore_modules() -> None:
    for names, as_they_were in _AS_THEY_WERE:
        names.update(as_they_were)


def _answer(question: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    try:
        if question["do"] == "run":
            exec(compile(question["source"], "tests.py", "exec"), names)
            return {"ok": True}
        if question["do"] == "held":
            right = eval(question["right"], names)
            return {"ok": compare.holds(question["operator"], names["_held"], right)}
        return _compared(question, names)
    except BaseException:  # whatever a test raises, it has failed
        return {"ok": False}


def _compared(question: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """The values on the sides of a comparison that are asked for.

    Where one is no plain value, such as an array, how the comparison turned out in here; of a single
    side just that it is held, until the other one is told.
    """
    sides = [eval(source, names) for source in question["sides"]]
    _restore_modules()  # what was called for the sides may have changed them again
    try:
        return {"values": [encode(side) for side in sides]}
    except NotPlainError:
        if question["operator"] == "true":
            return {"ok": compare.is_true(sides[0])}
        if len(sides) == 2:
            return {"ok": compare.holds(question["operator"], *sides)}
        names["_held"] = sides[0]
        return {"held": True}
