"""A reward: how it is called, what it reads and how it scores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opensloth_core.rewards.completions import ScoreFunction

RowCheck = Callable[[Mapping[str, Any]], None]
"""Raises DataError where a row's columns hold what the reward cannot use."""


@dataclass(frozen=True)
class Reward:
    """One way to score completions.

    Attributes:
        name: what the user calls it by.
        score: gives a score for each completion.
        columns: for each piece of data that it needs, the columns that may hold it; the first found wins.
        description: one line for a person.
        check_row: looks at a row's columns before training, where the reward needs them of a certain form.
    """

    name: str
    score: ScoreFunction
    columns: tuple[tuple[str, ...], ...]
    description: str
    check_row: RowCheck | None = None
