"""Data of another kind than the method trains, told by its columns."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from opensloth_core.config.data import Method
from opensloth_core.data.shape.shapes import Shape

FOREIGN_COLUMNS: Final = frozenset({"chosen", "label", "labels", "kto_tag"})
"""Rows for SFT without any of these belong to no other method."""


def other_method(row: Mapping[str, Any], method: Method, shape: Shape, used: Collection[str]) -> str | None:
    """Why a row of the shape is not for the method; None when it is.

    Rewards may read what DPO and KTO train, and pairs may have labels, so only SFT refuses any.

    Args:
        used: columns that are part of the example, so they say nothing about another method.
    """

    def has(column: str) -> bool:
        return row.get(column) is not None and column not in used

    if method != "sft":
        return None
    if has("chosen") and has("rejected"):
        return "preference data (chosen, rejected): SFT would train the rejected answers too"
    for column in ("label", "labels", "kto_tag"):
        if not has(column):
            continue
        if shape is Shape.TEXT and isinstance(row[column], int | float | str):
            return f"classification data (text, {column}): SFT would train the texts and never the labels"
        if isinstance(row[column], bool):
            return f"KTO data (boolean {column}): SFT would train the answers labelled false too"
    return None


def other_kind(row: Mapping[str, Any]) -> str | None:
    """What a row that fits no shape of the method seems to be."""
    if row.get("chosen") is not None and row.get("rejected") is not None:
        return "preference data (chosen, rejected)"
    if isinstance(row.get("completions"), list) and isinstance(row.get("labels"), list):
        return "stepwise supervision data (completions, labels)"
    if row.get("input_ids") is not None:
        return "data that is tokenised already (input_ids)"
    for column in ("label", "kto_tag"):
        if isinstance(row.get(column), bool):
            return f"KTO data (boolean {column})"
        if isinstance(row.get(column), int | str):
            return f"classification data ({column})"
    return None
