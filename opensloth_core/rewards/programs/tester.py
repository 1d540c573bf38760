"""Runs a program against a row's tests and counts those that pass."""

import random
import secrets
import tempfile
from typing import Any

from opensloth_core.rewards.programs.assertions import UNKNOWN, Comparison, Setup, Statement
from opensloth_core.rewards.programs.compare import OPERATORS
from opensloth_core.rewards.programs.sandbox import Limits, Sandbox
from opensloth_core.rewards.programs.suite import Assertions, Pairs, Suite
from opensloth_core.rewards.programs.values import NotPlainError, decode

MAX_OUTPUT_BYTES = 1 << 20
_PROMISES_NOTHING = Statement("assert False")


def share_passed(program: str, suite: Suite, limits: Limits) -> float:
    """Share of the tests that the program passes, 0 to 1.

    Raises:
        ConfigError: this machine has no sandbox.
    """
    if isinstance(suite, Pairs):
        return _num_pairs_passed(program, suite, limits) / suite.num_tests
    return _num_assertions_passed(program, suite, limits) / suite.num_tests


def _num_assertions_passed(program: str, suite: Assertions, limits: Limits) -> int:
    # Somewhere among the tests is one that must fail: who just says that all is well is found out.
    steps = [*suite.steps]
    trap = random.randint(0, len(steps))
    steps.insert(trap, _PROMISES_NOTHING)
    num_passed = 0
    with Sandbox(limits) as sandbox:
        started = sandbox.ask({"program": program, "as_script": False})
        if not started or not started.get("ok"):
            return 0
        failed_functions = set()
        for index, step in enumerate(steps):
            if step.function and step.function in failed_functions:
                continue
            is_passed = _is_passed(sandbox, step)
            if is_passed is None:  # the process has ended, or does not answer what it was asked
                break
            if index == trap and is_passed:
                return 0
            if isinstance(step, Setup):
                failed_functions |= set() if is_passed else {step.function}
            elif index != trap:
                num_passed += is_passed
    return num_passed


def _is_passed(sandbox: Sandbox, step: Setup | Comparison | Statement) -> bool | None:
    if not isinstance(step, Comparison):
        reply = _asked(sandbox, {"do": "run", "source": step.source})
        return None if reply is None else reply.get("ok") is True
    reply = _asked(sandbox, {"do": "compare", "operator": step.operator, "sides": step.sources})
    if reply is None:
        return None
    if "values" in reply:
        return _holds(step, reply["values"])
    if reply.get("held") is True and step.literals[0] is UNKNOWN:
        question = {"do": "held", "operator": step.operator, "right": step.literal_source}
        reply = _asked(sandbox, question)
    elif step.operator != "true" and len(step.sources) == 1:
        return False  # the value is what was asked for, not a judgement of it
    return None if reply is None else reply.get("ok") is True


def _asked(sandbox: Sandbox, question: dict[str, Any]) -> dict[str, Any] | None:
    nonce = secrets.token_hex(16)
    reply = sandbox.ask(question | {"nonce": nonce})
    return reply if reply is not None and reply.get("nonce") == nonce else None


def _holds(step: Comparison, sent: Any) -> bool:
    try:
        values = iter([decode(value) for value in sent])
        sides = [next(values) if literal is UNKNOWN else literal for literal in step.literals]
        return bool(sides[0] if step.operator == "true" else OPERATORS[step.operator](*sides))
    except (NotPlainError, StopIteration, TypeError, ValueError, RecursionError):
        return False


def _num_pairs_passed(program: str, suite: Pairs, limits: Limits) -> int:
    num_passed = 0
    for given, wanted in suite.pairs:
        with tempfile.TemporaryFile() as stdin:
            stdin.write(given.encode(errors="replace"))
            stdin.seek(0)
            with Sandbox(limits, stdin, keeps_output=True) as sandbox:
                sandbox.tell({"program": program, "as_script": True})
                printed = sandbox.output(len(wanted) + MAX_OUTPUT_BYTES)
                if printed is None and sandbox.is_out_of_time:
                    break  # it would take its time for every further input as well
        num_passed += printed is not None and _lines(printed.decode(errors="replace")) == _lines(wanted)
    return num_passed


def _lines(text: str) -> list[str]:
    """The lines without white space at their ends and without empty lines at the end."""
    return [line.rstrip() for line in text.rstrip().splitlines()]
