"""Which columns hold the conversation: found once per file, from its first rows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from opensloth_core.errors import DataError

Columns = Mapping[str, Any]


class Shape(StrEnum):
    """A known layout of columns; the value is the columns that a row of it must have."""

    MESSAGES = "messages"
    CONVERSATIONS = "conversations"
    ALPACA = "instruction, output"
    PROMPT_COMPLETION = "prompt, completion"
    QUESTION_ANSWER = "question, answer"


_REQUIRED = {shape: tuple(shape.value.split(", ")) for shape in Shape}

ACCEPTED = " | ".join(Shape)


def matching_shapes(row: Columns) -> list[Shape]:
    """The shapes whose columns are all in the row and not null."""
    return [
        shape
        for shape, columns in _REQUIRED.items()
        if all(row.get(column) is not None for column in columns)
    ]


def other_method(row: Columns) -> str | None:
    """Why the row belongs to another training method than SFT; None when it does not."""
    if row.get("chosen") is not None and row.get("rejected") is not None:
        return "preference data (chosen, rejected): SFT would train the rejected answers too"
    for column in ("label", "kto_tag"):
        if isinstance(row.get(column), bool):
            return f"KTO data (boolean {column}): SFT would train the answers labelled false too"
    return None


def detect_shape(rows: Iterable[Columns], place: str) -> Shape:
    """The shape that most of `rows` have and share with no other.

    Args:
        place: the file, for messages.

    Raises:
        DataError: a row belongs to another method, or the rows match no shape or several.
    """
    seen: Counter[tuple[Shape, ...]] = Counter()
    columns: dict[tuple[Shape, ...], str] = {}
    for row in rows:
        if reason := other_method(row):
            raise DataError(f"{place}: {reason}; method sft needs {ACCEPTED}")
        shapes = tuple(matching_shapes(row))
        seen[shapes] += 1
        columns.setdefault(shapes, describe_columns(row))
    # Rows that fit nothing are rejected one by one, unless nothing fits at all.
    fitting = Counter({shapes: count for shapes, count in seen.items() if shapes}) or seen
    shapes = fitting.most_common(1)[0][0]
    if len(shapes) == 1:
        return shapes[0]
    if not shapes:
        raise DataError(f"{place}: no conversation in columns: {columns[shapes]}; accepted: {ACCEPTED}")
    raise DataError(
        f"{place}: columns fit several shapes ({' | '.join(shapes)}); found: {columns[shapes]}; "
        "keep the columns of one"
    )


def describe_columns(row: Columns) -> str:
    """The row's column names on one line, at most ten of them."""
    names = [
        (name if name.isidentifier() else repr(name[:40])) + (" (null)" if value is None else "")
        for name, value in row.items()
    ]
    return ", ".join([*names[:10], f"and {len(names) - 10} more"] if len(names) > 10 else names) or "none"
