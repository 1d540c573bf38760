"""`--batch-size auto`: the largest micro-batch that memory holds, measured on the run's own longest data.

Micro-batches of 1, 2, 4, … units go forward and backward as in training. Their peaks lie on a line,
peak = fixed + units * per_unit, so the largest size under the limit follows from the last two, and is tried
before it is taken. Every rank measures, and the worst result counts for all.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from opensloth_core.config.batch import BatchPlan
from opensloth_core.errors import TrainingError
from opensloth_core.training.device_memory import DeviceMemory
from opensloth_core.training.guard.memory import is_out_of_memory
from opensloth_core.training.job import RankJob

SHARE = 0.85
"""Of the device's memory; the rest is for fragments, and for what evaluation and saving need."""

AUTO_GLOBAL_BATCH = 16
"""Units in a step on each rank where nobody says how many."""

MAX_PROBE_SECONDS = 5.0
"""A micro-batch that takes longer keeps the device busy; larger ones would gain nothing but waiting."""

BACK_OFF = 0.9
"""What a size that turned out too large is multiplied by."""


@dataclass(frozen=True)
class Probe:
    """One micro-batch that was tried."""

    size: int

    share: float
    """Of the device's memory, at the peak; infinite when it ran out."""

    seconds: float


def largest_batch(probe: Callable[[int], Probe], most: int) -> int:
    """The largest micro-batch whose peak stays under `SHARE` of memory; 0 when a single unit's does not.

    Args:
        probe: tries a size.
        most: no larger ones are asked for.
    """
    good: list[Probe] = []
    size = 1
    while (tried := probe(size)).share <= SHARE:
        good.append(tried)
        if size >= most or tried.seconds > MAX_PROBE_SECONDS:
            return size
        size = min(2 * size, most)
    if not good:
        return 0
    known, size = good[-1].size, min(size - 1, _on_the_line(good))
    while size > known and probe(size).share > SHARE:
        size = int(size * BACK_OFF)
    return max(size, known)


def _on_the_line(good: list[Probe]) -> int:
    """The size at which the line through the last two peaks meets the limit."""
    if len(good) < 2:
        return good[-1].size
    small, large = good[-2:]
    per_unit = (large.share - small.share) / (large.size - small.size)
    return large.size + int((SHARE - large.share) / per_unit) if per_unit > 0 else 2 * large.size


def batch_of_size(most: int, per_rank: int, world_size: int) -> BatchPlan:
    """The batch numbers with the largest micro-batch up to `most` that keeps a rank's units in a step."""
    size = max(size for size in range(1, most + 1) if per_rank % size == 0)
    return BatchPlan(size, per_rank // size, world_size)


def auto_batch(trainer: Any, job: RankJob) -> BatchPlan:
    """The batch numbers of a run whose batch size is "auto", the same on all ranks.

    Args:
        trainer: built with any batch size; nothing of it is changed.

    Raises:
        TrainingError: a single unit does not fit.
    """
    memory = DeviceMemory(job.device, job.world_size)
    longest_first = np.argsort(-job.units["num_tokens"].astype(np.int64), kind="stable")
    global_batch_size = job.config.training.global_batch_size
    per_rank = (global_batch_size or AUTO_GLOBAL_BATCH * job.world_size) // job.world_size
    optimizer_bytes = _optimizer_bytes(trainer)

    def probe(size: int) -> Probe:
        """On all ranks: the highest peak counts, and memory ran out when it did on one."""
        rows = job.rows(longest_first[:size])
        began = time.perf_counter()
        peak = _peak_bytes(trainer, rows, memory)
        share = math.inf if peak is None else (peak + optimizer_bytes) / memory.limit_bytes
        worst = torch.tensor([share, time.perf_counter() - began], dtype=torch.float64, device=job.device)
        torch.distributed.all_reduce(worst, torch.distributed.ReduceOp.MAX)
        return Probe(size, *worst.tolist())

    size = largest_batch(probe, min(per_rank, len(longest_first)))
    if size == 0:
        raise TrainingError(
            f"batch_size auto: not even one unit of {int(job.units['num_tokens'].max())} tokens fits into "
            f"{SHARE:.0%} of {memory.limit_bytes / 2**30:.1f} GiB; lower max_seq_length, or use qlora"
        )
    return batch_of_size(size, per_rank, job.world_size)


def _peak_bytes(trainer: Any, rows: list[dict[str, Any]], memory: DeviceMemory) -> int | None:
    """Peak memory of one micro-batch forward and backward; None when it ran out."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.train()
    rng = torch.get_rng_state()
    memory.reset_peak()
    try:
        inputs = trainer._prepare_inputs(trainer.collate(rows))
        with trainer.compute_loss_context_manager():
            loss = trainer.probe_loss(model, inputs)
        loss.backward()
    except (RuntimeError, MemoryError) as err:
        if not is_out_of_memory(err):
            raise
        return None
    finally:
        inputs = loss = None
        model.zero_grad(set_to_none=True)
        memory.release()
        torch.set_rng_state(rng)
    return memory.peak_bytes()


def _optimizer_bytes(trainer: Any) -> int:
    """What the optimizer's state will take: two numbers of four bytes a trained weight, at most."""
    return sum(8 * weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)
