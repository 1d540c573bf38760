"""Examples of many lengths into packs of one capacity, by best-fit decreasing.

The longest example goes first, each into the fullest pack that it still fits. The packs that have
exactly r tokens left wait on the list `open_packs[r]`, and bit r of the integer `rooms` says that
the list is not empty. The fullest pack with room for n tokens is then the lowest bit at or above n:
one shift and one `x & -x`, however many packs are open.

    lengths [6, 5, 4, 3], capacity 10
    6 -> pack 0 (4 left); 5 -> pack 1 (5 left); 4 -> pack 0 (0 left); 3 -> pack 1 (2 left)

Source: Krell et al. 2021, Efficient Sequence Packing without Cross-contamination, section 3.2 and
appendix, https://arxiv.org/abs/2107.02027
"""

import numpy as np
import numpy.typing as npt


def pack(lengths: npt.NDArray[np.integer], capacity: int) -> list[list[int]]:
    """Packs as lists of indices into `lengths`; a pure function of its arguments.

    No example is split. Examples of a pack are in the order of their indices, packs in the order
    of their first index. Of equally long examples the earlier one goes first.

    Args:
        lengths: tokens of each example, shape [num examples], each in 1..capacity.
        capacity: tokens a pack holds.

    Raises:
        ValueError: a length is out of bounds.
    """
    if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= capacity):
        raise ValueError(f"lengths are {lengths.min()}..{lengths.max()}, not within 1..{capacity}")
    packs: list[list[int]] = []
    open_packs: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = 0
    longest_first = np.argsort(-lengths.astype(np.int64), kind="stable")
    for index, length in zip(longest_first.tolist(), lengths[longest_first].tolist(), strict=True):
        if fitting := rooms >> length:
            room = length + (fitting & -fitting).bit_length() - 1
            number = open_packs[room].pop()
            if not open_packs[room]:
                rooms ^= 1 << room
            packs[number].append(index)
        else:
            room, number = capacity, len(packs)
            packs.append([index])
        left = room - length
        if left:
            open_packs[left].append(number)
            rooms |= 1 << left
    for members in packs:
        members.sort()
    return sorted(packs)
