"""Which units meet in which optimizer step, and which rank runs them.

A unit is a pack (SFT), a preference pair (DPO) or a prompt (GRPO). The step contract: the units of a
step are a function of (seed, epoch, step, global batch size) and nothing else, so any number of ranks
trains on the same units in the same steps. The plan then deals a step's units to the ranks, equally many
slots each, near-equal in tokens in every step and in trained tokens over the steps. A step that the data
cannot fill is filled up with `FILLER`, a pack whose labels are all ignored, or, where losses are means over
units and nothing can be ignored, with the first units of the epoch once more.

Shapes: S steps, W ranks, A micro-batches a step (gradient accumulation), B units a micro-batch.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opensloth_core.config.batch import BatchPlan

FILLER = -1
"""Unit index of a slot without data."""

_LENGTHS_TOLD_APART = 32
"""Packs of a step whose lengths differ by less than one in so many cost a rank the same time."""


@dataclass(frozen=True)
class TrainingPlan:
    """The units of every step of a run, dealt to its ranks."""

    units_SWAB: npt.NDArray[np.int64]
    """Indices into the global order of units; `FILLER` where a slot is empty."""

    trained_tokens_S: npt.NDArray[np.int64]
    """Tokens with a label in each step, over all ranks: what the step's loss is divided by."""

    @property
    def num_steps(self) -> int:
        return len(self.units_SWAB)

    def slots_of(self, rank: int) -> npt.NDArray[np.int64]:
        """All unit indices a rank runs, in order, shape (S * A * B,)."""
        return self.units_SWAB[:, rank].reshape(-1)


def training_plan(
    num_tokens_P: npt.NDArray[np.int64],
    num_trained_P: npt.NDArray[np.int64],
    batch: BatchPlan,
    epochs: float,
    max_steps: int | None,
    seed: int,
    repeat: bool = False,
) -> TrainingPlan:
    """The plan of a run.

    Args:
        num_tokens_P: length of each unit.
        num_trained_P: tokens with a label in each unit.
        batch: batch numbers, counted in units, and world size.
        epochs: passes over the data; a fraction ends the last pass early, at a whole step.
        max_steps: the number of steps, whatever `epochs` says, if given.
        seed: seed of the order.
        repeat: fill the last step of an epoch with units of the epoch instead of `FILLER`.
    """
    num_packs, size = len(num_tokens_P), batch.global_batch_size
    steps_per_epoch = math.ceil(num_packs / size)
    num_steps = max_steps or math.ceil(epochs * steps_per_epoch)
    tokens = np.append(num_tokens_P, 0)  # index FILLER (-1) reads the appended zero
    trained = np.append(num_trained_P, 0)
    dealt: list[npt.NDArray[np.int64]] = []
    trained_by_rank = [0] * batch.world_size
    trained_S: list[int] = []
    for epoch in range(math.ceil(num_steps / steps_per_epoch)):
        order = np.random.default_rng((seed, epoch)).permutation(num_packs)
        num_empty = steps_per_epoch * size - num_packs
        fill = np.resize(order, num_empty) if repeat else np.full(num_empty, FILLER, dtype=np.int64)
        steps = np.concatenate([order, fill]).reshape(steps_per_epoch, size)
        for packs in steps[: num_steps - len(dealt)]:
            dealt.append(_deal(packs, tokens, trained, batch, trained_by_rank))
            trained_S.append(int(trained[packs].sum()))
    return TrainingPlan(np.stack(dealt), np.array(trained_S, dtype=np.int64))


def _deal(
    packs: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int64],
    trained: npt.NDArray[np.int64],
    batch: BatchPlan,
    trained_by_rank: list[int],
) -> npt.NDArray[np.int64]:
    """One step's packs as (W, A, B): longest first to the rank that has the fewest tokens in this step.

    Among ranks that have about as many, to the one that has trained the fewest tokens so far, which
    `trained_by_rank` counts on.
    """
    world_size = batch.world_size
    slots = batch.gradient_accumulation_steps * batch.batch_size
    hands: list[list[int]] = [[] for _ in range(world_size)]
    load = [0] * world_size
    # Packs are nearly full, so that their lengths differ by next to nothing.
    unit = max(1, int(tokens[packs].max()) // _LENGTHS_TOLD_APART)
    cost = {pack: -(-int(tokens[pack]) // unit) for pack in packs.tolist()}
    for pack in sorted(packs.tolist(), key=lambda p: (-cost[p], -int(trained[p]), p)):
        free = (r for r in range(world_size) if len(hands[r]) < slots)
        rank = min(free, key=lambda r: (load[r], len(hands[r]), trained_by_rank[r], r))
        hands[rank].append(pack)
        load[rank] += cost[pack]
        trained_by_rank[rank] += int(trained[pack])
    return np.array(hands, dtype=np.int64).reshape(
        world_size, batch.gradient_accumulation_steps, batch.batch_size
    )
