"""The reward `math`."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from opensloth_core.errors import DataError
from opensloth_core.rewards.completions import Completions, first_value
from opensloth_core.rewards.mathematics.answer import (
    Answer,
    is_runaway,
    quick_verdict,
    read_answer,
    read_reference,
)
from opensloth_core.rewards.mathematics.judge import Question, ask_judges
from opensloth_core.rewards.mathematics.statement import stated_answer
from opensloth_core.rewards.reference import REFERENCE_COLUMNS, quoted


def score_math(completions: Completions) -> list[float | None]:
    """1.0 where the completion's final answer equals the reference, else 0.0; `None` without a reference.

    `statement` says what the final answer of a completion is. Two numbers are compared exactly, as
    `equal_numbers` says; words by their letters; everything else by math-verify in a process of its
    own, which has a second of CPU time for it (what takes longer is 0.0).

    Raises:
        DataError: a reference states no answer.
        TrainingError: math-verify does not start.
    """
    references = [
        None if value is None else read_reference(value) for value in completions.column(REFERENCE_COLUMNS)
    ]
    texts = completions.whole_texts
    scores: list[float | None] = []
    open_questions: dict[Question, list[int]] = {}
    for index, reference in enumerate(references):
        if reference is None:
            scores.append(None)
            continue
        written = stated_answer(texts[index], completions.is_finished[index])
        answer = read_answer(written) if written is not None else None
        verdict = quick_verdict(reference, answer) if answer is not None else False
        scores.append(float(bool(verdict)))
        if verdict is None:
            assert answer is not None and reference.latex is not None and answer.latex is not None
            open_questions.setdefault((reference.latex, answer.latex), []).append(index)
    for question, is_right in zip(open_questions, ask_judges(list(open_questions)), strict=True):
        for index in open_questions[question]:
            scores[index] = float(is_right)
        if not is_right:
            _check_readable(references[open_questions[question][0]])
    return scores


def check_math_row(row: Mapping[str, Any]) -> None:
    """Raises DataError where the row's reference cannot be judged by; a null one is left out."""
    value = first_value(map(row.get, REFERENCE_COLUMNS))
    if value is not None:
        _check_readable(read_reference(value))


def _check_readable(reference: Answer | None) -> None:
    if reference is None or reference.number is not None or reference.latex is None:
        return
    if not is_runaway(reference.latex) and not _is_readable(reference.latex):
        raise DataError(
            f"reward math: math-verify cannot read the reference {quoted(reference.latex)}; give a number "
            "or LaTeX, or score with exact"
        )


@lru_cache(maxsize=65536)
def _is_readable(latex: str) -> bool:
    return ask_judges([(latex,)])[0]
