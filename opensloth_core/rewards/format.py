"""The reward `format`: the completion reasons between tags and then answers."""

import re

from opensloth_core.rewards.after_thinking import THINK_CLOSE, THINK_OPEN
from opensloth_core.rewards.completions import Completions

_SHAPE = re.compile(r"\s*<think>(?P<thought>.*?)</think>(?P<said>.*)", re.DOTALL)
_ANSWER = re.compile(r"\s*<answer>(?P<answer>.*)</answer>\s*", re.DOTALL)
_TAGS = (THINK_OPEN, THINK_CLOSE, "<answer>", "</answer>")


def score_format(completions: Completions) -> list[float | None]:
    """1.0 where the completion is of this shape, else 0.0 (spaces and line breaks are free around tags).

    `<think>` some text `</think>` and then either some text without tags, or `<answer>` some text
    `</answer>` and nothing more. "Some text" is more than white space. Each tag stands exactly
    once, in this order, and nothing stands before `<think>`. Where the prompt ends with an open
    `<think>`, that one counts and the completion has none.
    """
    return [float(_has_format(text)) for text in completions.whole_texts]


def _has_format(text: str) -> bool:
    match = _SHAPE.fullmatch(text)
    if not match or not match["thought"].strip() or not match["said"].strip():
        return False
    counts = [text.count(tag) for tag in _TAGS]
    if counts == [1, 1, 0, 0]:
        return True
    answer = _ANSWER.fullmatch(match["said"])
    return counts == [1, 1, 1, 1] and answer is not None and bool(answer["answer"].strip())
