"""Which shapes a row's columns fit."""

from collections.abc import Mapping
from typing import Any

from opensloth_core.config.data import Method
from opensloth_core.data.shape.names import COLUMNS
from opensloth_core.data.shape.shapes import TIERS, Shape

Columns = Mapping[str, Any]
Fit = tuple[Shape, tuple[str, ...]]
"""A shape, and the data's names of the columns it must have."""


def fits_of(row: Columns, method: Method, given: Mapping[str, str]) -> list[Fit]:
    """The shapes of the row that no better one makes not count.

    All of whose columns the user named, most of them, is better than an earlier tier (`TIERS`), and
    that is better than our own names of columns instead of others (`COLUMNS`).

    Args:
        given: the columns that the user named; a shape that does not take all of them does not fit.
    """
    ranked: list[tuple[tuple[int, int, bool], Fit]] = []
    for tier, shapes in enumerate(TIERS[method]):
        for shape in shapes:
            columns = [column_of(name, row, given) for name in shape.required]
            if not given.keys() <= {*shape.required, *shape.optional} or None in columns:
                continue
            found = tuple(column for column in columns if column is not None)
            num_named = len(found) if given.keys() >= set(shape.required) else 0
            has_alias = any(
                name not in given and name != column
                for name, column in zip(shape.required, found, strict=True)
            )
            ranked.append(((-num_named, tier, has_alias), (shape, found)))
    best = min((rank for rank, _ in ranked), default=None)
    return [fit for rank, fit in ranked if rank == best]


def column_of(name: str, row: Columns, given: Mapping[str, str]) -> str | None:
    """The data's name of our column: the user's, else the first of those we know that is not null."""
    candidates = (given[name],) if name in given else COLUMNS[name]
    return next((column for column in candidates if row.get(column) is not None), None)
