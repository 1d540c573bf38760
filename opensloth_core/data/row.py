"""What a line of input becomes: a row, or a rejected row with its reason."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One JSON object of the input and the line it starts on, counted from 1."""

    line: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used.

    `reason` is one of a few fixed phrases, so rows can be counted by it; `detail` is about this row.
    """

    line: int
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


class RowError(Exception):
    """Raised with (reason, detail) while one row is processed; ends as a `Rejected`."""

    def __str__(self) -> str:
        return str(self.rejected(0))

    def rejected(self, line: int) -> Rejected:
        """This error as the rejected row at `line`."""
        reason, *detail = self.args
        return Rejected(line, reason, *detail)
