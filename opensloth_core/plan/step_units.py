"""How many units a rank takes in an optimizer step, and in which micro-batches."""

from opensloth_core.config.batch import BatchPlan

SHARE = 0.85
"""Of the device's memory that training may take; the rest is for fragments, and for what evaluation and
saving need."""

MOST_UNITS, LEAST_UNITS = 16, 2
"""Units in a step of a rank where nobody says how many: as many as keep a GPU busy, fewer of little data."""

LEAST_STEPS = 50
"""Optimizer steps that little data is divided into, as long as `LEAST_UNITS` are left."""


def batch_of_size(most: int, per_rank: int, world_size: int) -> BatchPlan:
    """The batch numbers with the largest micro-batch up to `most` that keeps a rank's units in a step."""
    size = max(size for size in range(1, most + 1) if per_rank % size == 0)
    return BatchPlan(size, per_rank // size, world_size)


def default_units(num_units: int, epochs: float, max_steps: int | None, world_size: int) -> int:
    """Units of a rank in a step where no global batch is given: a power of two.

    Args:
        num_units: in the training data.
        epochs: passes over them, where `max_steps` is not given.
        max_steps: optimizer steps, if they were counted.
        world_size: ranks.
    """
    steps = 1 if max_steps else LEAST_STEPS
    passes = 1.0 if max_steps else epochs
    enough = int(num_units * passes / (steps * world_size))
    units = min(MOST_UNITS, max(LEAST_UNITS, enough))
    return 1 << (units.bit_length() - 1)
