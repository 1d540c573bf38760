"""Which columns hold what: found once per file, from its first rows and the user's mapping."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from json import dumps
from typing import Any

from opensloth_core.config.data import Method
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.fits import Columns, Fit, column_of, fits_of
from opensloth_core.data.shape.foreign import FOREIGN_COLUMNS, other_kind, other_method
from opensloth_core.data.shape.json_value import parse
from opensloth_core.data.shape.mapping import Mapped, check_turns, column_names, mapped
from opensloth_core.data.shape.names import MEDIA_COLUMNS, ROLE_PREFIX, ROLES, TURN_KEYS, plain_role
from opensloth_core.data.shape.reasons import NOT_A_TURN
from opensloth_core.data.shape.shapes import TIERS, Shape, accepted
from opensloth_core.data.shape.turns import TurnFormat
from opensloth_core.errors import DataError
from opensloth_core.readme import more_in_readme

_WANTED: dict[Method, str] = {"sft": "conversation", "dpo": "pair of answers", "grpo": "prompt"}


@dataclass(frozen=True)
class Layout:
    """What a file's rows are made of, found by `layout_of`.

    Attributes:
        columns: pairs of our name and the data's, for each column that the shape reads.
        turn_keys: the same for the keys of turns, where the user mapped them.
        roles: pairs of `role.user` … and the data's name for that role, where the user mapped it.
        is_mapped: the user named columns, so columns of other shapes do not count.
        unread: columns of the first rows that are no part of the example.
    """

    method: Method
    shape: Shape
    columns: tuple[tuple[str, str], ...]
    turn_keys: tuple[tuple[str, str], ...] = ()
    roles: tuple[tuple[str, str], ...] = ()
    is_mapped: bool = False
    unread: tuple[str, ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        """All that decides how rows become examples, as stable text."""
        parts = (self.method, self.shape, self.columns, self.turn_keys, self.roles, self.is_mapped)
        return dumps(parts, separators=(",", ":"))

    def describe(self) -> str:
        """The shape, the names that are not ours, and the columns that are not read, on one line."""
        pairs = (*self.columns, *self.turn_keys, *self.roles)
        renamed = [f"{ours}={theirs}" for ours, theirs in pairs if ours != theirs]
        text = str(self.shape) + (f" ({', '.join(renamed)})" if renamed else "")
        if not self.unread:
            return text
        fate = "kept for rewards" if self.method == "grpo" else "not read"
        return f"{text}; {fate}: {column_names(dict.fromkeys(self.unread, True))}"

    @cached_property
    def column(self) -> dict[str, str]:
        """Our name of a column to the data's."""
        return dict(self.columns)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Our names of the columns that every row must have."""
        return self.shape.required

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The data's names of the columns that every row must have."""
        return tuple(self.column[name] for name in self.names)

    @cached_property
    def used(self) -> frozenset[str]:
        """The data's names of the columns that are part of the example."""
        return frozenset(self.column.values())

    @cached_property
    def form(self) -> TurnFormat:
        """The names that turns use."""
        keys = TURN_KEYS | {ours: (theirs,) for ours, theirs in self.turn_keys}
        named = {
            spelling: role.removeprefix(ROLE_PREFIX)
            for role, name in self.roles
            for spelling in (plain_role(name), name)
        }
        return TurnFormat(keys["role"], keys["content"], ROLES | named)

    def value(self, row: Columns, name: str) -> Any:
        """The row's value of the column that we call `name`; None where there is none."""
        column = self.column.get(name)
        return None if column is None else row.get(column)

    @cached_property
    def rivals(self) -> tuple[tuple[str, ...], ...]:
        """Columns of the shapes that a row must not fit as well, since it would be ambiguous."""
        if self.is_mapped:
            return ()
        own = next(index for index, tier in enumerate(TIERS[self.method]) if self.shape in tier)
        shapes = [
            shape for tier in TIERS[self.method][: own + 1] for shape in tier if shape is not self.shape
        ]
        return tuple(shape.required for shape in shapes)

    @cached_property
    def suspects(self) -> frozenset[str]:
        """A row with none of these columns fits nothing but this layout."""
        foreign = FOREIGN_COLUMNS if self.method == "sft" else frozenset()
        return (foreign | MEDIA_COLUMNS | {columns[0] for columns in self.rivals}) - self.used


def layout_of(rows: Sequence[Columns], method: Method, mapping: Mapping[str, str], place: str) -> Layout:
    """The shape that most of `rows` have and share with no other, and where its columns are.

    Args:
        rows: the first rows of a file.
        mapping: the user's names (`MAP_NAMES`) of columns, turn keys and roles; what is named counts
            as present, and a shape that takes all of the names wins over those that do not.
        place: the file, for messages.

    Raises:
        DataError: a mapping names what is not there, a row belongs to another method, or the rows
            match no shape or several.
    """
    given = mapped(mapping, rows, place)
    seen: Counter[tuple[Fit, ...]] = Counter()
    examples: dict[tuple[Fit, ...], Columns] = {}
    for row in rows:
        fits = tuple(fits_of(row, method, given.columns))
        used = {column for _, required in fits for column in required}
        if fits and (reason := other_method(row, method, fits[0][0], used)):
            raise _refusal(reason, method, place)
        seen[fits] += 1
        examples.setdefault(fits, row)
    # Rows that fit nothing are rejected one by one, unless nothing fits at all.
    fitting = Counter({fits: count for fits, count in seen.items() if fits}) or seen
    if not fitting:
        raise DataError(f"{place}: no rows to find the shape from; at least one is needed")
    fits = fitting.most_common(1)[0][0]
    if not fits:
        raise _unfit(examples[fits], method, given, place)
    if len(fits) > 1:
        shape, (column, *_) = fits[0]
        raise DataError(
            f"{place}: columns fit several shapes ({' | '.join(shape for shape, _ in fits)}); found: "
            f"{column_names(examples[fits])}; choose with --map, such as --map {shape.required[0]}={column}"
        )
    return _layout(fits[0], rows, method, given, place)


def _refusal(reason: str, method: Method, place: str) -> DataError:
    return DataError(
        f"{place}: {reason}; method {method} takes {accepted(method)}; use another method, "
        f"or rename the columns if they mean something else{more_in_readme('Data it understands')}"
    )


def _unfit(row: Columns, method: Method, given: Mapped, place: str) -> DataError:
    if not given.columns and (kind := other_kind(row)):
        return _refusal(kind, method, place)
    pairs = " ".join(f"{name}={column}" for name, column in given.columns.items())
    return DataError(
        f"{place}: no {_WANTED[method]} in columns: {column_names(row)}{pairs and f' with --map {pairs}'}; "
        f"accepted: {accepted(method)}; say what is what with --map NAME=COLUMN"
        f"{more_in_readme('Data it understands')}"
    )


def _layout(fit: Fit, rows: Sequence[Columns], method: Method, given: Mapped, place: str) -> Layout:
    shape, required = fit
    present = {column: True for row in rows for column, value in row.items() if value is not None}
    columns = dict(zip(shape.required, required, strict=True))
    for name in shape.optional:
        # A later row may have it, under our name.
        column = given.columns.get(name) or column_of(name, present, given.columns) or name
        if column not in columns.values():
            columns[name] = column
    layout = Layout(
        method=method,
        shape=shape,
        columns=tuple(columns.items()),
        turn_keys=tuple(sorted(given.turn_keys.items())),
        roles=tuple((f"role.{role}", name) for role, name in given.roles.items()),
        is_mapped=bool(given.columns),
        unread=tuple(column for column in present if column not in columns.values()),
    )
    if given.turn_keys or given.roles:
        check_turns(given, _turns_of(rows, layout.required), place)
    return layout


def _turns_of(rows: Sequence[Columns], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for value in (row.get(column) for row in rows for column in columns):
        if isinstance(value, str) and value.lstrip().startswith("["):
            try:
                value = parse(value, NOT_A_TURN, "")
            except RowError:
                continue
        for turn in value if isinstance(value, list) else [value]:
            if isinstance(turn, dict):
                yield turn
