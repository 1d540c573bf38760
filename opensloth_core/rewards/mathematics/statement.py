r"""Finds the final answer that a completion states.

Statements are `\boxed{x}`, `#### x`, `<answer>x</answer>` and "the answer is x"; the last one that is
not empty counts, and what is inside another counts before the outer one. Only a finished completion
without any statement is taken by its last number or expression.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opensloth_core.rewards.after_thinking import after_thinking
from opensloth_core.rewards.mathematics.clause import (
    clause_at,
    has_math,
    is_answer,
    last_expression,
    read_clause,
    without_remark,
)
from opensloth_core.rewards.mathematics.notation import plain

MAX_ANSWER_CHARS = 1000
"""What is longer is no final answer."""

_BOX = re.compile(r"\\f?boxed\s*(?=\{)|\\fbox\s*(?=\{)")
_HASH = re.compile(r"####[ \t]*([^\n#]*)")
_OPEN, _CLOSE = "<answer>", "</answer>"
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_MAX_STATEMENTS = 50
"""So many of each kind are looked at, from the end, so that a degenerate text costs no quadratic time."""
_PHRASE = re.compile(
    r"""\banswers?[*_"'”)\s]{0,4}                 # the word, perhaps in Markdown
    (?:to[ ][^.:?!\n]{1,120}?[ ](?=(?:is|are)\b|:))?       # to the question
    (?P<link>
        (?:(?:is|are|equals|would[ ]be|should[ ]be|must[ ]be|will[ ]be|comes[ ]to|turns[ ]out[ ]to[ ]be)\b|=)
        (?P<colon>\s{0,3}:)?
      | (?P<label>:|\**[ \t]*\n)
    )[*_\s]*""",
    re.IGNORECASE | re.VERBOSE,
)  # fmt: skip
_NEGATED = re.compile(r"\s*(?:definitely |certainly )?(?:not|n't|never|neither)\b", re.IGNORECASE)
_JOINED = re.compile(
    r"[\s$.\\)(\]\[]*(?:,|;|&|\band\b|\bor\b)(?:\s*(?:and|or)\b)?[\s$\\)(\]\[]*(?:[a-zA-Z]\w?\s*=\s*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Statement:
    start: int
    end: int
    content: str
    kind: str


def stated_answer(text: str, is_finished: bool) -> str | None:
    """What the completion gives as its final answer, as it is written there; `None` where it gives none.

    Args:
        is_finished: it ended by itself. Of one that was cut only statements count, since its last
            number is just where it got to.
    """
    said = after_thinking(text)
    answer, is_begun = last_statement(said)
    if answer is not None or is_begun or not is_finished:
        return answer
    return last_expression(said)


def last_statement(text: str) -> tuple[str | None, bool]:
    r"""The last statement's content, and whether there is any statement, be it empty or cut off.

    Boxes that follow one another joined by "and", "or" or a comma are one answer, `a, b`, so that
    whoever offers two values does not get the credit for one.
    """
    boxes, is_cut = _boxes(text)
    others = [*_tags(text), *_hashes(text), *_phrases(text, boxes)]
    statements = sorted([*boxes, *others], key=lambda statement: statement.start)
    is_begun = is_cut or bool(statements) or _OPEN in text
    while statements:
        last = statements.pop()
        if not plain(last.content):
            continue
        if last.kind == "box":
            return _joined(text, last, boxes), True
        return last.content, True
    return None, is_begun


def _boxes(text: str) -> tuple[list[_Statement], bool]:
    """The boxes that are closed, and whether the last one is not."""
    boxes = []
    is_cut = False
    for match in list(_BOX.finditer(text))[-_MAX_STATEMENTS:]:
        end = _closing_brace(text, match.end())
        is_cut = end is None
        if end is not None:
            boxes.append(_Statement(match.start(), end + 1, text[match.end() + 1 : end], "box"))
    return boxes, is_cut


def _closing_brace(text: str, start: int) -> int | None:
    depth = 0
    for brace in _BRACE.finditer(text, start, start + MAX_ANSWER_CHARS):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.start()
    return None


def _joined(text: str, last: _Statement, boxes: list[_Statement]) -> str:
    contents = [last.content]
    later = last
    for box in reversed(boxes[: boxes.index(last)]):
        if box.end > later.start or not _JOINED.fullmatch(text[box.end : later.start]):
            break
        contents.append(box.content)
        later = box
    distinct = list(dict.fromkeys(content for content in reversed(contents) if plain(content)))
    return ", ".join(distinct)


def _tags(text: str) -> Iterator[_Statement]:
    end = len(text)
    for _ in range(_MAX_STATEMENTS):
        close = text.rfind(_CLOSE, 0, end)
        start = text.rfind(_OPEN, 0, max(0, close))
        if start < 0:
            return
        content = text[start + len(_OPEN) : close]
        yield _Statement(start, close, content if is_answer(content) else read_clause(content), "tag")
        end = start


def _hashes(text: str) -> Iterator[_Statement]:
    for match in list(_HASH.finditer(text))[-_MAX_STATEMENTS:]:
        # "#### Step 2" is a heading in Markdown.
        if not match[1].strip() or is_answer(match[1]):
            yield _Statement(match.start(), match.end(), match[1], "hash")


def _phrases(text: str, boxes: list[_Statement]) -> Iterator[_Statement]:
    for match in list(_PHRASE.finditer(text))[-_MAX_STATEMENTS:]:
        if any(box.start < match.start() < box.end for box in boxes) or _NEGATED.match(text, match.end()):
            continue
        clause = clause_at(text, match.end())
        if match["label"] is None:
            yield _Statement(match.start(), match.end(), read_clause(clause), "phrase")
        # After "Answer:" people also write a whole solution, or "Sure!" and then a solution.
        elif is_answer(without_remark(clause)) and (has_math(clause) or not has_math(text[match.end() :])):
            yield _Statement(match.start(), match.end(), clause, "phrase")
