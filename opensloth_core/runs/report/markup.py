"""Pieces of Markdown, in which foreign text cannot become markup."""

import re
from collections.abc import Iterable, Sequence

from opensloth_core.preview.visible import visible
from opensloth_core.runs.report.redact import redacted

_SPECIAL = re.compile(r"([\\`*\[\]|~$#]|_(?![A-Za-z0-9])|(?<![A-Za-z0-9])_)")
"""What could begin markup; an underscore inside a word cannot."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str, limit: int | None = None) -> str:
    """Text as itself on one line of Markdown, in a table too; its own lines with `<br>` between.

    Args:
        limit: characters that are shown at most; what is left out is counted.
    """
    text, rest = _cut(text.strip(), limit)
    lines = [_plain_line(line) for line in text.splitlines()]
    return "<br>".join(lines) + (f" … *({rest:,} more characters)*" if rest else "")


def code(text: str) -> str:
    """Text on one line in code type, in a table too."""
    text = visible(" ".join(text.split())).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else "-"


def block(text: str, limit: int | None = None) -> list[str]:
    """Lines of text in code type, as they are."""
    text, rest = _cut(text.strip("\n"), limit)
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    more = [f"… ({rest:,} more characters)"] if rest else []
    return [f"{fence}text", *(visible(line) for line in text.splitlines()), *more, fence]


def message(text: str) -> list[str]:
    """What a program said, without secrets: a quote, or a block where it is of several lines."""
    text = redacted(text.strip())
    return [f"> {plain(text, 2000)}"] if "\n" not in text else block(text, 6000)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """A table of cells that are Markdown already.

    Args:
        right: columns that are aligned to the right.
    """
    ruler = ["--:" if column in set(right) else "---" for column in range(len(head))]
    return [f"| {' | '.join(row)} |" for row in (head, ruler, *rows)]


def _plain_line(line: str) -> str:
    line = "".join(_ENTITIES.get(character, character) for character in visible(line.strip()))
    return _SPECIAL.sub(r"\\\1", line)


def _cut(text: str, limit: int | None) -> tuple[str, int]:
    """The text without what is over the limit, and how much that is."""
    rest = 0 if limit is None else max(0, len(text) - limit)
    return (text[: len(text) - rest], rest)
