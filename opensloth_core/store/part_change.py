"""What differs between the parts of two keys, in words."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

INPUT = "input"
GPU_COUNT = "GPU count"

_CHAT_TEMPLATES = {
    "tokenizer: chat_template.jinja": "tokenizer: chat template",
    "tokenizer: chat_template.json": "tokenizer: chat template (json)",
}
_LABELS = {**_CHAT_TEMPLATES, "code": "code: what prepares data", "code_version": "code: version"}
_CODE = ("code", "code_version", "tokenizers", "transformers", "jinja2")
_DIGEST = re.compile(r"[0-9a-f]{32,}")
_SHOWN_OF_A_DIGEST = 6
_SHOWN = 40


@dataclass(frozen=True)
class Difference:
    """One part of a key that is not what it was."""

    part: str
    now: str | None
    """None where there is no such part."""

    was: str | None
    text: str
    """For a person."""


def differences(
    now: Mapping[str, str], was: Mapping[str, str], reusing: Collection[str] = ()
) -> list[Difference]:
    """All parts but the input that differ, in the order of the key.

    Args:
        reusing: parts that the tokens do not depend on, where there are tokens to use again.
    """
    found = []
    for name in [*now, *(name for name in was if name not in now)]:
        new, old = now.get(name), was.get(name)
        if name != INPUT and new != old:
            text = _text(label(name), new, old)
            found.append(
                Difference(name, new, old, f"{text} (tokens are reused)" if name in reusing else text)
            )
    return found


def label(part: str) -> str:
    """What a person is told a part by."""
    return _LABELS.get(part, part)


def thing(part: str) -> str:
    """What a part belongs to: the tokenizer has several parts, and so has our code with its libraries."""
    return "code and libraries" if part in _CODE else part.partition(":")[0]


def shown(value: str) -> str:
    """A part's value, or the beginning of a long one: `a1b2c3…`."""
    if _DIGEST.fullmatch(value):
        return value[:_SHOWN_OF_A_DIGEST] + "…"
    return value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"


def _text(name: str, now: str | None, was: str | None) -> str:
    if now is None:
        return f"{name}: there is none, it was {shown(was or '')}"
    if was is None:
        return f"{name}: {shown(now)}, there was none"
    if _DIGEST.fullmatch(now) and _DIGEST.fullmatch(was):
        return f"{name} differs: {shown(now)} was {shown(was)}"
    return f"{name}: {shown(now)}, was {shown(was)}"
