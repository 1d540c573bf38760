"""Reads the answer out of the words around it."""

import re

from opensloth_core.rewards.mathematics.notation import plain
from opensloth_core.rewards.mathematics.number import DECIMAL, read_number
from opensloth_core.rewards.mathematics.units import PER, TERM

_MAX_CLAUSE_CHARS = 600
_DISPLAY = re.compile(r"\s*(?:\$\$(.+?)\$\$|\\\[(.+?)\\\])", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?](?=[*_\"”)]*(?:\s|$))|\n|</?\w+>")
_LATEX = re.compile(
    r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<![\s\\])\$(?!\d)", re.DOTALL
)
_WORD = re.compile(r"(?<![\\A-Za-z_{])[A-Za-z]{2,}(?![A-Za-z(])")
_MATH_WORDS = frozenset((
    "sqrt", "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "pi", "and", "or", "inf",
    "infinity", "frac", "if", "for", "mod",
))  # fmt: skip
_NUMBER = re.compile(
    rf"(?:(?<![\w.)\]}}\ue000])[-+])?(?<![\w.])[\ue000€£¥₹]?(?:(?<=[\ue000€£¥₹])[-+])?"
    rf"(?:\\frac\s*\{{{DECIMAL}\}}\s*\{{{DECIMAL}\}}"
    rf"|(?:\d+\s+)?{DECIMAL}\s*/\s*{DECIMAL}"
    rf"|{DECIMAL}(?:[eE][-+]?\d+)?(?:\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*\{{?[-+]?\d+\}}?)?)(?:\s*\\?%)?"
)
_QUALIFIER = re.compile(
    r",\s|;|\(|\b(?:because|since|as|so|which|where|when|if|given|rather than|instead of|not|for|in|on|at|"
    r"after|per|every|each|with|by|from|over)\b",
    re.IGNORECASE,
)
_REASON = re.compile(r"\b(?:because|since)\b", re.IGNORECASE)
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_EQUALS = re.compile(r"(?<![<>!\\=])=(?!=)")
_REMARK = re.compile(r"(?P<head>.*\S)\s+\((?P<remark>[^()]*(?:\([^()]*\)[^()]*)*)\)[\s.*]*", re.DOTALL)
_UNITS = tuple(re.compile(rf"\s*{unit}(?![\w^])", re.IGNORECASE) for unit in (f"{TERM}{PER}{TERM}", TERM))
_MAX_WORDS = 4


def clause_at(text: str, start: int) -> str:
    """The rest of the sentence from `start`, or the display formula that begins there."""
    text = text[start : start + _MAX_CLAUSE_CHARS]
    display = _DISPLAY.match(text)
    if display:
        return display[1] or display[2]
    text = text.lstrip()
    end = _SENTENCE_END.search(text)
    return text[: end.start()] if end else text


def is_answer(text: str) -> bool:
    """Whether the whole text is one answer: a number, a formula, or a few words without any number."""
    answer = plain(text)
    if without_remark(answer) != answer:
        return False
    if not answer or read_number(answer) is not None:
        return bool(answer)
    words = [word for word in _WORD.findall(answer) if word.lower() not in _MATH_WORDS]
    return not words or (len(answer.split()) <= _MAX_WORDS and not any(map(str.isdigit, answer)))


def without_remark(text: str) -> str:
    """`11` of `11 (5 + 6 = 11)`: behind an answer an equation in brackets says how one gets there."""
    match = _REMARK.fullmatch(text) if len(text) <= _MAX_CLAUSE_CHARS else None
    is_remark = match is not None and has_math(match["head"]) and _EQUALS.search(match["remark"])
    return match["head"] if match is not None and is_remark else text


def read_clause(clause: str) -> str:
    """The answer in a clause such as `18 dollars, since 9 * 2 = 18`; the clause itself where it is unclear.

    A clause that names several numbers without saying which it means is left whole: that is no
    answer that any reference has.
    """
    clause = without_remark(clause)
    if is_answer(clause):
        return clause
    claim = _REASON.split(clause, maxsplit=1)[0].rstrip().removesuffix("(")
    if claim != clause and is_answer(claim):
        return claim
    found = _only_value(clause)
    if found is not None:
        return found
    parts = _EQUALS.split(clause)
    tail = parts[-1]
    if len(parts) > 1 and (is_answer(tail) or _only_value(tail) is not None):
        return read_clause(tail)
    for qualifier in _QUALIFIER.finditer(clause):
        head = clause[: qualifier.start()]
        if is_answer(head) or _only_value(head) is not None:
            return read_clause(head)
    return clause


def last_expression(text: str) -> str | None:
    """The last number or LaTeX formula of a text, or what stands in bold in its last line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    bold = [content for content in _BOLD.findall(lines[-1]) if has_math(content) and is_answer(content)]
    if bold:
        return str(bold[-1])
    formulas = list(_LATEX.finditer(text))
    formula = formulas[-1] if formulas else None
    after = text[formula.end() :] if formula else text
    numbers = _numbers(plain(after[-2 * _MAX_CLAUSE_CHARS :]))
    if numbers:
        return numbers[-1]
    return _content(formula) if formula else None


def _only_value(clause: str) -> str | None:
    """The one formula of a clause that has no other number, or its one number with the word after it."""
    formulas = list(_LATEX.finditer(clause))
    if formulas:
        rest = _LATEX.sub(" ", clause)
        return _content(formulas[0]) if len(formulas) == 1 and not re.search(r"\d", rest) else None
    text = plain(clause)
    values = _numbers(text)
    # A formula without LaTeX around it, such as 2x + 3, is no number among words.
    if len(values) != 1 or re.search(r"[=^+*<>{}\\]|(?<=\d)[a-z](?![a-z])", text.replace(values[0], "0", 1)):
        return None
    return values[0]


def _numbers(text: str) -> list[str]:
    """The numbers of a text in `plain` notation, each with the unit right after it."""
    found: list[str] = []
    end = 0
    for match in _NUMBER.finditer(text):
        if match.start() < end:  # the 2 of cm^2
            continue
        units = (unit.match(text[match.end() :]) for unit in _UNITS)
        readings = [match[0] + unit[0] for unit in units if unit and read_number(match[0] + unit[0])]
        found.append(readings[0] if readings else match[0])
        end = match.start() + len(found[-1])
    return found


def _content(match: re.Match[str]) -> str:
    return next(str(group) for group in match.groups() if group is not None)


def has_math(text: str) -> bool:
    """Whether there is a digit or LaTeX in the text."""
    return any(map(str.isdigit, text)) or "\\" in text or "$" in text
