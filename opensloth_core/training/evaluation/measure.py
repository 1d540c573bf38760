"""What a method measures on held-out units."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Rows = Sequence[Mapping[str, Any]]
"""Held-out units as the columns of their table."""


class Measure(Protocol):
    """Sums over units, which add up over batches and ranks, and what they mean in the end."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sums."""

    @property
    def max_units(self) -> int | None:
        """Units that an evaluation is content with; None for all."""

    def sums(self, rows: Rows) -> Mapping[str, float]:
        """The sums of one batch of units; runs without gradients, in `undisturbed`."""

    def metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Of the sums over all units."""
