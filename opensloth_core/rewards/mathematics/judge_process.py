"""The judge: math-verify in a process of its own, which alone may hang, crash or run out of memory.

Run by path, `python -I judge_process.py MEMORY_BYTES CPU_SECONDS`. Reads one JSON line a question,
`[reference, answer]` or `[reference]`, writes one a verdict: are they equal, can it be parsed. It is
the main thread of this process that works, so a timer's signal can interrupt it whatever thread asked.
"""

import json
import logging
import os
import resource
import signal
import sys
from functools import lru_cache
from types import FrameType
from typing import Any


class OutOfTime(BaseException):
    """Not an `Exception`, so that sympy does not take it for one of its own."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise OutOfTime


def main() -> None:
    """Judge until the other end of stdin is closed."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not look like a verdict
    memory_bytes, seconds = int(sys.argv[1]), float(sys.argv[2])
    from latex2sympy2_extended.latex2sympy2 import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy import Basic, Eq, Symbol
    from sympy.core.relational import Relational

    logging.disable(logging.WARNING)  # math-verify says that its own time limit is off; ours is on
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    signal.signal(signal.SIGPROF, _stop)
    # Units are off: that step takes the last letter of `5c` for one. Ours are gone before.
    config = LatexExtractionConfig(
        boxed_match_priority=-1,
        normalization_config=NormalizationConfig(
            basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none"
        ),
    )

    @lru_cache(maxsize=1024)
    def parsed(latex: str) -> tuple[Any, ...]:
        return tuple(
            parse(
                f"${latex}$",
                extraction_config=[config],
                fallback_mode="no_fallback",
                parsing_timeout=None,
            )
        )

    def is_equal(reference: Any, answer: Any) -> bool:
        is_equation = (
            isinstance(answer, Eq) and not isinstance(answer.lhs, Symbol) and bool(answer.lhs.free_symbols)
        )
        # math-verify takes the right side of any equation: 7 for 2x + y = 7.
        if is_equation and not answer.lhs.is_Function and not isinstance(reference, Relational):
            return False
        if not verify([reference], [answer], allow_set_relation_comp=True, timeout_seconds=None):
            return False
        return not _differ_when_small(reference, answer)

    def _differ_when_small(reference: Any, answer: Any) -> bool:
        """math-verify rounds to 6 places, after which all small numbers are equal."""
        if not all(
            isinstance(side, Basic) and side.is_number and side.is_finite for side in (reference, answer)
        ):
            return False
        a, b = complex(reference.evalf()), complex(answer.evalf())
        is_percent = abs(a - 100 * b) <= 1e-9 * abs(a) or abs(100 * a - b) <= 1e-9 * abs(b)
        return not is_percent and abs(a - b) > 5e-6 * max(abs(a), abs(b))

    def verdict(question: list[str]) -> bool:
        parts = [parsed(latex) for latex in question]
        if len(parts) == 1:
            return bool(parts[0])
        return bool(parts[0] and parts[1]) and is_equal(parts[0][0], parts[1][0])

    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        try:
            # Again and again: sympy has places that catch everything.
            signal.setitimer(signal.ITIMER_PROF, seconds, seconds / 10)
            is_right = verdict(json.loads(line))
            signal.setitimer(signal.ITIMER_PROF, 0)
        except (OutOfTime, Exception):
            signal.setitimer(signal.ITIMER_PROF, 0)
            is_right = False
        print(json.dumps(is_right), file=answers, flush=True)


if __name__ == "__main__":
    main()
