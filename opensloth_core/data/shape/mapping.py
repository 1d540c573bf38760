"""The user's `--map NAME=COLUMN` pairs, checked against the data."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from opensloth_core.data.shape.names import COLUMNS, MAP_NAMES, MAPPED_ROLES, ROLE_PREFIX, TURN_KEYS
from opensloth_core.errors import DataError


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the user said that the data calls things; our names to the data's.

    Attributes:
        columns: `messages=dialogue`.
        turn_keys: `role=speaker`, `content=utterance`.
        roles: `role.user=Customer`, as `{"user": "Customer"}`.
    """

    columns: dict[str, str]
    turn_keys: dict[str, str]
    roles: dict[str, str]


def mapped(mapping: Mapping[str, str], rows: Sequence[Mapping[str, Any]], place: str) -> Mapped:
    """The pairs by what they name.

    Raises:
        DataError: a NAME that we do not have, a COLUMN that no row has, or one column for two names.
    """
    for name in mapping:
        if name not in MAP_NAMES:
            raise DataError(f"{place}: --map {name}={mapping[name]}: unknown name {name!r}{_names(name)}")
    columns = {name: column for name, column in mapping.items() if name in COLUMNS}
    names: dict[str, str] = {}
    for name, column in columns.items():
        if all(column not in row for row in rows):
            raise DataError(
                f"{place}: --map {name}={column}: no column {column!r} in the data; "
                f"columns: {column_names({key: True for row in rows for key in row})}"
            )
        if column in names:
            raise DataError(
                f"{place}: --map: the column {column!r} cannot be both {names[column]} and {name}"
            )
        names[column] = name
    return Mapped(
        columns,
        {name: key for name, key in mapping.items() if name in TURN_KEYS},
        {role: mapping[ROLE_PREFIX + role] for role in MAPPED_ROLES if ROLE_PREFIX + role in mapping},
    )


def check_turns(given: Mapped, turns: Iterable[Mapping[str, Any]], place: str) -> None:
    """A mapping of what turns have must find turns that have it.

    Args:
        turns: those of the first rows.

    Raises:
        DataError: there are no turns, or none has a key that is mapped.
    """
    keys = Counter(key for turn in turns for key in turn)
    if not keys:
        names = ", ".join([*given.turn_keys, *(ROLE_PREFIX + role for role in given.roles)])
        raise DataError(f"{place}: --map {names}: the data has no turns that this could be in")
    for name, key in given.turn_keys.items():
        if key not in keys:
            raise DataError(
                f"{place}: --map {name}={key}: no turn has a key {key!r}; keys of turns: {column_names(keys)}"
            )


def column_names(row: Mapping[str, Any]) -> str:
    """The row's column names on one line, at most ten of them; those that are null say so."""
    names = [
        (name if name.isidentifier() else repr(name[:40])) + (" (null)" if value is None else "")
        for name, value in row.items()
    ]
    return ", ".join([*names[:10], f"and {len(names) - 10} more"] if len(names) > 10 else names) or "none"


def _names(name: str) -> str:
    close = get_close_matches(name, MAP_NAMES, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"{meant} names: {', '.join(MAP_NAMES)}" if meant else f"; names: {', '.join(MAP_NAMES)}"
