"""The reward `code`."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opensloth_core.rewards.completions import Completions, first_value
from opensloth_core.rewards.cores import num_cores
from opensloth_core.rewards.programs.block import last_program
from opensloth_core.rewards.programs.sandbox import Limits
from opensloth_core.rewards.programs.suite import ENTRY_POINT_COLUMNS, TEST_COLUMNS, Suite, read_suite
from opensloth_core.rewards.programs.tester import share_passed

LIMITS = Limits()


def score_code(completions: Completions) -> list[float | None]:
    """Share of the row's tests that the completion's program passes; `None` where the row has no tests.

    The program is the last Python block that is closed; without one the score is 0.0, as it is where
    the program raises or exits before the first test. Every assertion counts, or every pair of input
    and output (compared line by line, without white space at the ends). Programs run in a sandbox, as
    many at a time as this rank has cores.

    Raises:
        DataError: a row's tests cannot be read.
        ConfigError: this machine cannot confine programs.
    """
    tests = completions.column(TEST_COLUMNS)
    entry_points = completions.column(ENTRY_POINT_COLUMNS)
    suites = [
        None if value is None else read_suite(value, entry_point)
        for value, entry_point in zip(tests, entry_points, strict=True)
    ]
    with ThreadPoolExecutor(num_cores()) as threads:
        return list(threads.map(_score, completions.whole_texts, suites))


def check_code_row(row: Mapping[str, Any]) -> None:
    """Raises DataError where the row's tests cannot be read."""
    value = first_value(map(row.get, TEST_COLUMNS))
    if value is not None:
        read_suite(value, row.get(ENTRY_POINT_COLUMNS[0]))


def _score(text: str, suite: Suite | None) -> float | None:
    if suite is None:
        return None
    program = last_program(text)
    return 0.0 if program is None else share_passed(program, suite, LIMITS)
