"""The reward `exact`: the completion says what the reference says."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from opensloth_core.errors import DataError
from opensloth_core.rewards.after_thinking import after_thinking
from opensloth_core.rewards.completions import Completions, first_value
from opensloth_core.rewards.reference import REFERENCE_COLUMNS, quoted

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_QUOTES = "\"'`*“”‘’ "  # noqa: RUF001


def score_exact(completions: Completions) -> list[float | None]:
    """1.0 where the answer equals the reference, else 0.0; `None` where the row has no reference.

    The answer is the last `<answer>…</answer>`, or else all that comes after `</think>`. Both sides
    are compared as NFKC, without regard to case, to how much white space stands between words, to
    quotes and asterisks around them and to one full stop at the end.

    Raises:
        DataError: a reference is no text or number, or empty.
    """
    references = completions.column(REFERENCE_COLUMNS)
    return [
        None if reference is None else float(_normal(_answer(text)) == _reference(reference))
        for text, reference in zip(completions.whole_texts, references, strict=True)
    ]


def check_exact_row(row: Mapping[str, Any]) -> None:
    """Raises DataError where the row's reference cannot be compared with."""
    reference = first_value(map(row.get, REFERENCE_COLUMNS))
    if reference is not None:
        _reference(reference)


def _answer(text: str) -> str:
    said = after_thinking(text)
    tagged = _ANSWER.findall(said)
    return tagged[-1] if tagged else said


def _reference(value: Any) -> str:
    is_comparable = isinstance(value, str | int | float)
    normal = _normal(str(value)) if is_comparable else ""
    if not normal:
        raise DataError(
            f"reward exact: the reference {quoted(value)} is no text to compare with; "
            "give a string or a number, or null for a row that has none"
        )
    return normal


def _normal(text: str) -> str:
    words = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return words.strip(_QUOTES).removesuffix(".").strip(_QUOTES)
