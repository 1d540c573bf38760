"""Packing by best-fit decreasing.

The longest example goes first, each into the fullest pack that it still fits. The packs that have
exactly r tokens left wait on the list `open_packs[r]`, and bit r of the integer `rooms` says that
the list is not empty. The fullest pack with room for n tokens is then the lowest bit at or above n:
one shift and one `x & -x`, however many packs are open.

    lengths [6, 5, 4, 3], capacity 10
    6 -> pack 0 (4 left); 5 -> pack 1 (5 left); 4 -> pack 0 (0 left); 3 -> pack 1 (2 left)

Source: Krell et al. 2021, Efficient Sequence Packing without Cross-contamination, section 3.2 and
appendix, https://arxiv.org/abs/2107.02027
"""

from array import array
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

_BLOCK = 1 << 16


def best_fit(lengths: npt.NDArray[np.integer], capacity: int) -> "array[int]":
    """The pack of each example, packs numbered from 0; a pure function of its arguments.

    Of equally long examples the earlier one goes first.

    Args:
        lengths: tokens of each example, shape [num examples], each in 1..capacity.
        capacity: tokens a pack holds.
    """
    pack_of = array("i", bytes(4 * len(lengths)))
    open_packs: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = num_packs = 0
    for index, length in _longest_first(lengths):
        if fitting := rooms >> length:
            room = length + (fitting & -fitting).bit_length() - 1
            number = open_packs[room].pop()
            if not open_packs[room]:
                rooms ^= 1 << room
        else:
            room, number = capacity, num_packs
            num_packs += 1
        pack_of[index] = number
        left = room - length
        if left:
            open_packs[left].append(number)
            rooms |= 1 << left
    return pack_of


def _longest_first(lengths: npt.NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    """(index, length) of all examples; a block at a time, since a Python number takes 28 bytes."""
    order = np.argsort(-lengths.astype(np.int32), kind="stable").astype(np.int32)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        yield from zip(block.tolist(), lengths[block].tolist(), strict=True)
