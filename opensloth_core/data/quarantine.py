"""Rejected rows: counted by reason, written to rejected.jsonl, and stopped when they are too many."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.data.segments import OVERLONG, TRUNCATED_AWAY
from opensloth_core.errors import DataError

REJECTED_FILE = "rejected.jsonl"

_NUM_PLACES = 3
_MAX_DETAIL_CHARS = 300
_TOO_LONG = frozenset({OVERLONG, TRUNCATED_AWAY})
"""Reasons that are no sign of a wrong format, so they do not count towards the limit."""


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that cannot be used: where it is, and why. Fields are those of a line of `rejected.jsonl`."""

    file: str
    line: int
    reason: str
    detail: str

    @property
    def why(self) -> str:
        """Reason and detail."""
        return f"{self.reason} ({shortened(self.detail)})" if self.detail else self.reason


class Quarantine:
    """Takes rejected rows in.

    Args:
        title: what the whole input is called in errors.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._first: list[QuarantinedRow] = []
        self._first_unusable: list[QuarantinedRow] = []
        self.counts: Counter[str] = Counter()

    def add(self, row: QuarantinedRow) -> None:
        """Count a row."""
        self.counts[row.reason] += 1
        if len(self._first) < _NUM_PLACES:
            self._first.append(row)
        if len(self._first_unusable) < _NUM_PLACES and row.reason not in _TOO_LONG:
            self._first_unusable.append(row)

    def write(self, folder: Path, rows: Iterable[QuarantinedRow]) -> None:
        """Count rows and write them to `rejected.jsonl`, one line each, without the folder they are from."""
        with (folder / REJECTED_FILE).open("w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                self.add(row)
                shown = {"file": row.file, "line": row.line, "reason": row.reason}
                file.write(json.dumps({**shown, "detail": shortened(row.detail)}) + "\n")

    def check(self, num_tried: int, num_usable: int, max_rejected: float) -> None:
        """Stop where too little of the input can be used.

        Args:
            num_tried: rows of the input, those that are not sampled left out.
            num_usable: rows that came through.
            max_rejected: highest share of rows rejected for other reasons than their length.

        Raises:
            DataError: no row is usable, or more than `max_rejected` are not.
        """
        if not num_tried:
            raise DataError(f"{self._title}: holds no row; at least one is needed")
        if not num_usable:
            only_long = sum(self.counts[reason] for reason in _TOO_LONG) == num_tried
            way_out = " (raise --max-seq-length)" if only_long else ""
            raise DataError(
                f"{self._title}: none of {num_tried} rows can be used{way_out}: {_places(self._first)}"
            )
        num_unusable = self.counts.total() - sum(self.counts[reason] for reason in _TOO_LONG)
        if num_unusable > max_rejected * num_tried:
            share, places = num_unusable / num_tried, _places(self._first_unusable)
            raise DataError(
                f"{self._title}: {num_unusable} of {num_tried} rows ({share:.1%}) cannot be used, over "
                f"the limit of {100 * max_rejected:g}%: {places}; mend them or raise --max-rejected"
            )


def shortened(detail: str) -> str:
    """A row's detail on one line that can be read."""
    line = " ".join(detail.split())
    return line if len(line) <= _MAX_DETAIL_CHARS else f"{line[:_MAX_DETAIL_CHARS]}..."


def _places(rows: list[QuarantinedRow]) -> str:
    """Where the rows are and why; a reason that several share is said once."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        by_reason.setdefault(row.why, []).append(f"{row.file}:{row.line}")
    return "; ".join(f"{', '.join(places)}: {why}" for why, places in by_reason.items())
