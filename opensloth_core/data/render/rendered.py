"""What a renderer gives: a text, and which of its characters are trained."""

from typing import NamedTuple

Span = tuple[int, int]
"""Characters `[start, end)` of a text."""


class Rendered(NamedTuple):
    """One training example as text."""

    text: str
    """Special tokens included."""

    spans: list[Span]
    """The trained characters, in order."""
