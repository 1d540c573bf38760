"""Rejected rows: counted by reason, written to rejected.jsonl, and stopped when they are too many."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from opensloth_core.data.encode import OVERLONG
from opensloth_core.data.row import Rejected
from opensloth_core.errors import DataError

REJECTED_FILE = "rejected.jsonl"

_NUM_PLACES = 3
_MAX_DETAIL_CHARS = 300


class Quarantine:
    """Takes rejected rows in, one line of `rejected.jsonl` each.

    Args:
        folder: where the file is written.
        input_path: the file that the rows come from.
    """

    def __init__(self, folder: Path, input_path: Path) -> None:
        self._input_path = input_path
        self._file = (folder / REJECTED_FILE).open("w", encoding="utf-8", newline="\n")
        self._first: list[Rejected] = []
        self._first_unusable: list[Rejected] = []
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, rejected: Rejected) -> None:
        """Count and write a row."""
        detail = _shortened(rejected.detail)
        # The name alone: the same data in another folder gives the same bytes.
        row = Rejected(rejected.line, rejected.reason, detail)
        self._file.write(json.dumps({"file": self._input_path.name, **asdict(row)}) + "\n")
        self.counts[row.reason] += 1
        if len(self._first) < _NUM_PLACES:
            self._first.append(row)
        if len(self._first_unusable) < _NUM_PLACES and row.reason != OVERLONG:
            self._first_unusable.append(row)

    def check(self, num_read: int, num_usable: int, max_rejected: float) -> None:
        """Stop where too little of the input can be used.

        Overlong rows are no sign of a wrong format, so they do not count towards the limit.

        Args:
            num_read: rows of the input.
            num_usable: rows that came through.
            max_rejected: highest share of rows rejected for other reasons than their length.

        Raises:
            DataError: no row is usable, or more than `max_rejected` are not.
        """
        if not num_read:
            raise DataError(f"{self._input_path}: holds an empty list; at least one row is needed")
        if not num_usable:
            way_out = " (raise --max-seq-length)" if self.counts[OVERLONG] == num_read else ""
            places = self._places(self._first)
            raise DataError(f"{self._input_path}: none of {num_read} rows can be used{way_out}: {places}")
        num_unusable = self.counts.total() - self.counts[OVERLONG]
        if num_unusable > max_rejected * num_read:
            share, places = num_unusable / num_read, self._places(self._first_unusable)
            raise DataError(
                f"{self._input_path}: {num_unusable} of {num_read} rows ({share:.1%}) cannot be used, over "
                f"the limit of {100 * max_rejected:g}%: {places}; mend them or raise --max-rejected"
            )

    def _places(self, rows: list[Rejected]) -> str:
        return "; ".join(f"{self._input_path.name}:{row.line}: {row}" for row in rows)


def _shortened(detail: str) -> str:
    line = " ".join(detail.split())
    return line if len(line) <= _MAX_DETAIL_CHARS else f"{line[:_MAX_DETAIL_CHARS]}..."
