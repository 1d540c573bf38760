"""Packing one pack at a time, its last two or three examples chosen so that it is exactly full.

A pack is begun with examples as they come in a fixed shuffled order, so that those left over are always
a fair sample of all and the last packs fill as well as the first. Only where examples are so long that
few fit together, the longest goes first. Once at most three more are needed, the sets are looked up
that fill the room exactly:

    lengths left {150, 180, 210, 260}, room 410      150 + 260 fit exactly; 210 + 180 would waste 20

Bit n of the integer `have` says that an example of n tokens is left, bit n of `mirrored` the same of
capacity - n tokens. `have & (mirrored >> (capacity - room))` then has bit n exactly where both n and
room - n are left: all pairs that fill the room, in one operation on numbers of `capacity` bits.
"""

from array import array
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_TRIES = 32
"""Longest examples that are tried as the first of three."""

_LONG_SHARE = 1 / 3
"""Share of the capacity from which on the longest example goes first."""


def exact_fit(lengths: npt.NDArray[np.integer], capacity: int) -> "array[int]":
    """The pack of each example, packs numbered from 0; a pure function of its arguments.

    Args:
        lengths: tokens of each example, shape [num examples], each in 1..capacity.
        capacity: tokens a pack holds.
    """
    left = _Left(lengths, capacity)
    pack_of = array("i", bytes(4 * len(lengths)))
    num_packs = 0
    while left.num_examples:
        for index in _pack(left, capacity):
            pack_of[index] = num_packs
        num_packs += 1
    return pack_of


def _pack(left: "_Left", room: int) -> Iterator[int]:
    while room:
        longest = left.longest_within(room)
        if not longest:
            return
        if closing := left.filling(room, longest):
            yield from (left.take(length) for length in closing)
            return
        # All that are left would fit, several times: nothing hangs on which one is taken.
        is_roomy = longest == left.longest_within(left.capacity) and room > 3 * longest
        length = left.any() if is_roomy and longest <= _LONG_SHARE * left.capacity else longest
        yield left.take(length)
        room -= length


class _Left:
    """The examples that are in no pack yet, by length; of equally long ones the earlier goes first."""

    def __init__(self, lengths: npt.NDArray[np.integer], capacity: int) -> None:
        self.capacity = capacity
        self.num_examples = len(lengths)
        counts = np.bincount(lengths, minlength=capacity + 1)
        self._counts: list[int] = counts.tolist()
        self._indices = _numbers(np.argsort(lengths, kind="stable"))
        self._next: list[int] = (np.cumsum(counts) - counts).tolist()
        present = np.flatnonzero(counts).tolist()
        self._shortest = present[0]
        self._have = sum(1 << length for length in present)
        self._mirrored = sum(1 << (capacity - length) for length in present)
        shuffled = np.argsort(np.random.PCG64(0).random_raw(len(lengths)), kind="stable")
        self._shuffled = iter(_numbers(lengths[shuffled]))

    def take(self, length: int) -> int:
        """Remove an example of a length that is left, and give its index."""
        index = self._indices[self._next[length]]
        self._next[length] += 1
        self._counts[length] -= 1
        self.num_examples -= 1
        if not self._counts[length]:
            self._have ^= 1 << length
            self._mirrored ^= 1 << (self.capacity - length)
        return index

    def any(self) -> int:
        """The length of an example, as a fair sample of those left would have it."""
        return next(length for length in self._shuffled if self._counts[length])

    def longest_within(self, room: int) -> int:
        """The longest length that fits into a room, 0 where none does."""
        return max(0, self._within(room).bit_length() - 1)

    def filling(self, room: int, longest: int) -> tuple[int, ...]:
        """Three lengths at most that fill a room exactly; none where there are none.

        Args:
            longest: the longest one that fits.
        """
        if longest == room:
            return (longest,)
        if room > 3 * longest or room < 2 * self._shortest:
            return ()
        if pair := self._pair(room):
            return pair
        return self._triple(room) if room >= 3 * self._shortest else ()

    def _within(self, room: int) -> int:
        return self._have & ((2 << room) - 1)

    def _pair(self, room: int) -> tuple[int, ...]:
        """Two lengths that fill a room exactly, the longer one as long as can be."""
        both = self._have & (self._mirrored >> (self.capacity - room))
        longer = both.bit_length() - 1
        if longer <= 0 or (2 * longer == room and self._counts[longer] < 2):
            return ()
        return longer, room - longer

    def _triple(self, room: int) -> tuple[int, ...]:
        firsts = self._within(room)
        for _ in range(_TRIES):
            first = firsts.bit_length() - 1
            if 3 * first < room:
                return ()
            firsts ^= 1 << first
            pair = self._pair(room - first)
            if pair and self._counts[first] > pair.count(first):
                return first, *pair
        return ()


def _numbers(values: npt.NDArray[np.integer]) -> "array[int]":
    """Numbers to be read one by one: quicker than numpy's, smaller than a list's."""
    return array("i", values.astype(np.int32).tobytes())
