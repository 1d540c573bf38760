"""A seeded sample of a stream whose length and usable rows are not known beforehand.

Every row draws a number; the sample is the usable rows with the lowest ones. A row above the
highest number of a full sample cannot get in, so it need not be tokenised: of U rows and a sample
of N about N·(1 + ln(U/N)) are. The sample is a function of the rows and the seed alone.
"""

import heapq
import random

import numpy as np
import numpy.typing as npt


class Sample:
    """The usable rows to keep: `size` of them, or all when it is None."""

    def __init__(self, size: int | None, seed: int) -> None:
        self._size = size
        # Its stream is the same in every Python version, unlike numpy's generators.
        self._random = random.Random(seed)
        self._num_usable = 0
        self._highest_first: list[tuple[float, int]] = []

    def draw(self) -> float | None:
        """The next row's number; None when the row is not in the sample whether usable or not."""
        number = self._random.random()
        is_full = self._size is not None and len(self._highest_first) == self._size
        return None if is_full and number > -self._highest_first[0][0] else number

    def add(self, number: float) -> None:
        """A row that drew `number` turned out to be usable."""
        entry = (-number, self._num_usable)
        self._num_usable += 1
        if self._size is None:
            return
        if len(self._highest_first) < self._size:
            heapq.heappush(self._highest_first, entry)
        else:
            heapq.heappushpop(self._highest_first, entry)

    def kept(self) -> npt.NDArray[np.int64]:
        """Which of the added rows are kept, counted from 0 in the order they were added, ascending."""
        if self._size is None:
            return np.arange(self._num_usable)
        return np.sort(np.array([index for _, index in self._highest_first], dtype=np.int64))
