"""Which rows are used, and which of them are held out: functions of the rows and the seed alone.

Array names end in their shape: R rows of the input.
"""

import numpy as np
import numpy.typing as npt

from opensloth_core.errors import DataError

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


def row_priority(num_rows: int, seed: int) -> npt.NDArray[np.uint64]:
    """A random number for each row, those with the lowest are sampled first; shape [R].

    The raw numbers of a bit generator are the same in every version of numpy.
    Source: https://numpy.org/neps/nep-0019-rng-policy.html
    """
    return np.random.PCG64(seed).random_raw(num_rows)


def sample(usable_R: Mask, priority_R: npt.NDArray[np.uint64] | None, size: int) -> Mask:
    """Which rows are looked at for a sample of `size` usable ones, shape [R].

    Rows are tried in the order of their priority, or of the input where there is none, until there
    are enough; all rows that come later are not sampled, usable or not.
    """
    order = np.arange(len(usable_R)) if priority_R is None else np.argsort(priority_R, kind="stable")
    enough = np.flatnonzero(np.cumsum(usable_R[order]) == size)
    tried_R = np.zeros(len(usable_R), np.bool_)
    tried_R[order[: enough[0] + 1 if len(enough) else len(order)]] = True
    return tried_R


def held_out(group_R: npt.NDArray[np.uint64], size: float, seed: int) -> Mask:
    """Which of some rows are held out, shape [R].

    Whole groups of rows with the same prompt, so that no prompt is on both sides. A group's turn
    depends on its content and the seed. With a share it depends on nothing else: a row stays on its side
    whatever is added, removed or put in another order, so that models of data that grows can be compared
    on rows that none of them was trained on. With a number of rows, those at the limit do move.

    Args:
        group_R: number of each row's group.
        size: a share below 1, which each group has as its chance, or a number of rows.

    Raises:
        DataError: nothing would be left to train on, or to hold out.
    """
    groups, group_index_R, sizes = np.unique(group_R, return_inverse=True, return_counts=True)
    turn = _mixed(groups, seed)
    if size < 1:
        chosen = turn < np.uint64(int(size * 2**64))
    else:
        order = np.argsort(turn, kind="stable")
        # The group that crosses the limit is in; where it is the only one, the other side is empty.
        before = np.cumsum(sizes[order]) - sizes[order]
        chosen = np.zeros(len(groups), np.bool_)
        chosen[order[before < int(size)]] = True
    held_R: Mask = chosen[group_index_R]
    if not held_R.any() or held_R.all():
        raise DataError(
            f"eval_size {size:g}: of {len(group_R)} usable rows with {len(groups)} different prompts it "
            f"would hold out {held_R.sum()}; give a size that leaves rows on both sides"
            f"{', such as a number of rows' if size < 1 else ''}"
        )
    return held_R


def _mixed(groups: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """A number for each group that looks random and differs with the seed.

    Source: the finaliser of splitmix64, Steele et al. 2014, Fast Splittable Pseudorandom Number
        Generators, figure 16.
    """
    mixed = groups + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
