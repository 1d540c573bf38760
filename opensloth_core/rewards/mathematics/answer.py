"""One answer in the forms it can be compared in: as text, as a number, as LaTeX for the judge."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from opensloth_core.errors import DataError
from opensloth_core.rewards.mathematics.clause import is_answer, read_clause, without_remark
from opensloth_core.rewards.mathematics.notation import CURRENCY, plain
from opensloth_core.rewards.mathematics.number import Number, equal_numbers, read_number
from opensloth_core.rewards.mathematics.statement import MAX_ANSWER_CHARS, last_statement
from opensloth_core.rewards.mathematics.units import is_unit
from opensloth_core.rewards.reference import quoted

_EQUALS = re.compile(r"(?<![<>!\\=:])=(?!=)")
_ARITHMETIC = re.compile(
    r"[\d\s.,+*/()^%\ue000-]*(?:\\(?:times|cdot|div|frac|sqrt|left|right)[\d\s.,+*/(){}^-]*)*"
)
_QUANTITY_WORDS = re.compile(r"[A-Za-z][A-Za-z' ]{2,}")
_NAME = re.compile(r"[A-Za-z](?:_\{?\w+\}?)?")
_CHOICE = re.compile(
    r"(?i:option|choice)\s+\(?(?P<letter>[A-J])\)?(?:[.:)]?\s+(?P<said>.+))?"
    r"|\(?(?P<letter2>[A-J])[).:]\s+(?P<said2>[^-+*/^=].*)",
    re.DOTALL,
)
_WORDS = re.compile(r"[^\W\d_]{2,}(?:[\s'’-]+[^\W\d_]+)*|\(?[A-Za-z]\)?", re.UNICODE)  # noqa: RUF001
_TRAILING_WORDS = re.compile(r"(?<=[\w)}\]])\s+([A-Za-z]+(?:\s+[A-Za-z]+){0,2}(?:\s*\^\s*\{?[23]\}?)?)$")
_FUNCTIONS = re.compile(
    r"(?<![\\A-Za-z])(sin|cos|tan|cot|sec|csc|log|ln|exp|pi|sqrt|infinity|inf|oo)(?![A-Za-z])"
)
_LARGE = re.compile(r"\^\s*\{?\s*[-+]?\s*(?:\d[\s,]*){5}|\d{5}\)?\s*!")
_TOWER = re.compile(r"\^[^\^]{0,20}\^[^\^]{0,20}\^")
_DEEP = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read.

    Attributes:
        text: without white space, for answers that are words and to see at once what is the same.
        number: where it is one number.
        latex: what the judge gets; `None` where it is words.
        choice: the letter of `B) 18` and `option B`, beside what it stands for.
    """

    text: str
    number: Number | None
    latex: str | None
    choice: str | None = None


@lru_cache(maxsize=4096)
def read_answer(written: str) -> Answer:
    """The answer that a completion states, in the forms it can be compared in."""
    text = plain(written[: MAX_ANSWER_CHARS + 1])
    choice = _CHOICE.fullmatch(text)
    if choice:
        letter = (choice["letter"] or choice["letter2"]).upper()
        said = choice["said"] or choice["said2"] or letter
        return replace(read_answer(said), choice=letter)
    text = _one_of_equals(_right_side(without_remark(text)))
    number = read_number(text)
    if number is None and not is_answer(text):
        text = plain(read_clause(text))
        number = read_number(text)
    if number is not None:
        return Answer(_squeezed(text), number, _latex(_number_only(text)))
    is_words = _WORDS.fullmatch(text) or len(text) > MAX_ANSWER_CHARS
    return Answer(_squeezed(text), None, None if is_words else _latex(text))


@lru_cache(maxsize=65536)
def _read_reference(written: str) -> Answer | None:
    _, has_hash, after = written.rpartition("####")
    stated = after if has_hash else last_statement(written)[0] or written
    text = plain(stated)
    if not text or not (is_answer(stated) or is_answer(read_clause(stated))):
        return None
    return read_answer(stated)


def read_reference(value: Any) -> Answer:
    """The reference of a row: a number, or a text that is or states an answer (`… #### 42`, `\\boxed{42}`).

    Raises:
        DataError: there is no answer in it.
    """
    is_readable = isinstance(value, str | int | float) and not isinstance(value, bool)
    answer = _read_reference(str(value)) if is_readable else None
    if answer is None or not answer.text:
        raise DataError(
            f"reward math: the reference {quoted(value)} states no answer that can be compared with; give "
            "a number, LaTeX, or a solution that ends in #### x or \\boxed{x} (null for a row without one)"
        )
    return answer


def quick_verdict(reference: Answer, answer: Answer) -> bool | None:
    """Whether the two are equal, where that needs no algebra; else `None`."""
    if answer.choice is not None and answer.choice in (reference.text, reference.choice):
        return True
    if reference.number is not None and answer.number is not None:
        return equal_numbers(reference.number, answer.number)
    if reference.text == answer.text:
        return True
    if reference.latex is None or answer.latex is None:
        return reference.text.casefold() == answer.text.casefold()
    if is_runaway(answer.latex) or is_runaway(reference.latex):
        return False
    return None


def is_runaway(latex: str) -> bool:
    """Whether it is sure to take for ever.

    An exponent or factorial of five digits, powers of powers of powers, brackets forty deep.
    """
    depth = deepest = 0
    for character in latex:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest >= _DEEP or bool(_LARGE.search(latex) or _TOWER.search(latex))


def _right_side(text: str) -> str:
    """`20` of `18 + 2 = 20` and of `total cost = 20`; an equation in unknowns stays as it is."""
    parts = _EQUALS.split(text)
    if len(parts) == 1 or ("," in text and len(parts) > 2):
        return text
    is_calculation = all(_ARITHMETIC.fullmatch(part) for part in parts[:-1])
    is_label = len(parts) == 2 and _QUANTITY_WORDS.fullmatch(parts[0].strip())
    is_chain = len(parts) > 2 and re.fullmatch(r"\s*[A-Za-z]\w?\s*", parts[0])
    if is_chain and all(_ARITHMETIC.fullmatch(part) for part in parts[1:-1]):
        return f"{parts[0].strip()} = {parts[-1].strip()}"
    return plain(parts[-1]) if is_calculation or is_label else text


def _one_of_equals(text: str) -> str:
    """`1/2` of `1/2 or 0.5`, and of an exact value with its rounded one the exact one."""
    exact, is_rounded, rounded = text.partition("\\approx")
    if is_rounded and exact.strip():
        return plain(rounded if _NAME.fullmatch(exact.strip()) else exact)
    parts = [part.strip() for part in re.split(r"\bor\b", text)]
    numbers = [read_number(part) for part in parts]
    first = numbers[0]
    is_one = first is not None and all(
        number is not None and equal_numbers(first, number) for number in numbers
    )
    return parts[0] if is_one else text


def _squeezed(text: str) -> str:
    text = re.sub(r"\s+", "", text)
    return text[1:-1] if re.fullmatch(r"\([A-Za-z]\)", text) else text


def _number_only(text: str) -> str:
    match = re.match(r"[^A-Za-z%]*(?:\\frac[^A-Za-z%]*)?(?:\\?%)?", text)
    return match[0] if match and re.search(r"\d", match[0]) else text


def _latex(text: str) -> str:
    """What math-verify understands best."""
    text = text.replace(CURRENCY, "").replace("**", "^")
    trailing = _TRAILING_WORDS.search(text)
    if trailing and is_unit(trailing[1]):
        text = text[: trailing.start()]
    text = re.sub(r"(?<!\\)%", r"\\%", text)
    text = _FUNCTIONS.sub(
        lambda match: "\\infty " if match[1] in ("infinity", "inf", "oo") else f"\\{match[1]} ", text
    )
    text = re.sub(r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = text.replace("<=", "\\le ").replace(">=", "\\ge ").replace("!=", "\\ne ")
    # A ratio of numbers is a fraction to math-verify already; `*` would be read as a letter's neighbour.
    return text.replace("*", "\\cdot ").strip()
