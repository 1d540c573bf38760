"""Micro-batch and gradient checkpointing, measured on the run's own longest data.

Micro-batches of 1, 2, 4, … units go forward and backward as in training. Their peaks lie on a line,
peak = fixed + units * per_unit, so the largest size under the limit follows from the last two, and is tried
before it is taken. Activations are kept where a whole step fits with them; where it does not, the largest
micro-batches with and without recomputing them are timed, and the faster one wins. Every rank measures, and
the worst result counts for all.
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
from opensloth_core.plan.step_units import SHARE, batch_of_size, default_units
from opensloth_core.training.checkpoint.random_state import random_state, restore_random_state
from opensloth_core.training.device_memory import DeviceMemory
from opensloth_core.training.guard.memory import is_out_of_memory
from opensloth_core.training.job import RankJob
from opensloth_core.training.recompute import set_gradient_checkpointing

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


def largest_batch(probe: Callable[[int], Probe], most: int, first: int = 1) -> int:
    """The largest micro-batch whose peak stays under `SHARE` of memory; 0 when a single unit's does not.

    Args:
        probe: tries a size.
        most: no larger ones are asked for.
        first: a size that probably fits, to begin with.
    """
    good: list[Probe] = []
    size = first
    while (tried := probe(size)).share <= SHARE:
        good.append(tried)
        if size >= most or _is_slow(tried, probe):
            return size
        size = min(2 * size, most)
    if not good:
        return largest_batch(probe, most) if first > 1 else 0
    known, size = good[-1].size, min(size - 1, _on_the_line(good))
    while size > known and probe(size).share > SHARE:
        size = int(size * BACK_OFF)
    return max(size, known)


def _is_slow(tried: Probe, probe: Callable[[int], Probe]) -> bool:
    """Whether a size takes long once more, when kernels are loaded and buffers are there."""
    return tried.seconds > MAX_PROBE_SECONDS and probe(tried.size).seconds > MAX_PROBE_SECONDS


def _on_the_line(good: list[Probe]) -> int:
    """The size at which the line through the last two peaks meets the limit."""
    if len(good) < 2:
        return good[-1].size
    small, large = good[-2:]
    per_unit = (large.share - small.share) / (large.size - small.size)
    return large.size + int((SHARE - large.share) / per_unit) if per_unit > 0 else 2 * large.size


@dataclass(frozen=True)
class Measured:
    """What fits, and is fastest of what fits."""

    batch: BatchPlan
    gradient_checkpointing: bool
    share: float
    """Of the device's memory, at the peak."""

    @property
    def title(self) -> str:
        """What was found, in one line."""
        size, times = self.batch.batch_size, self.batch.gradient_accumulation_steps
        activations = "recomputed" if self.gradient_checkpointing else "kept"
        return (
            f"micro-batches of {size}, {times} in a step, activations {activations}: "
            f"{self.share:.0%} of memory at the peak"
        )


def measure(trainer: Any, job: RankJob, batch: BatchPlan | None = None) -> Measured:
    """The batch numbers of a run, and whether it recomputes activations; the same on all ranks.

    The trainer is left with the checkpointing that was found.

    Args:
        trainer: built with any batch size.
        batch: batch numbers that are known already.

    Raises:
        TrainingError: a single unit does not fit.
    """
    memory = DeviceMemory(job.device, job.world_size)
    training = job.config.training
    longest_first = np.argsort(-job.units["num_tokens"].astype(np.int64), kind="stable")
    if batch is not None:
        per_rank = batch.batch_size * batch.gradient_accumulation_steps
    elif training.global_batch_size:
        per_rank = training.global_batch_size // job.world_size
    else:
        per_rank = default_units(len(longest_first), training.epochs, training.max_steps, job.world_size)
    optimizer_bytes = _optimizer_bytes(trainer)

    def probe(size: int) -> Probe:
        """On all ranks: the highest peak counts, and memory ran out when it did on one."""
        rows = job.rows(longest_first[:size])
        began = time.perf_counter()
        random_numbers = random_state(job.device)
        peak = _peak_bytes(trainer, rows, memory)
        restore_random_state(random_numbers, job.device)
        share = math.inf if peak is None else (peak + optimizer_bytes) / memory.limit_bytes
        worst = torch.tensor([share, time.perf_counter() - began], dtype=torch.float64, device=job.device)
        torch.distributed.all_reduce(worst, torch.distributed.ReduceOp.MAX)
        return Probe(size, *worst.tolist())

    def fitting(checkpointing: bool) -> Measured | None:
        set_gradient_checkpointing(trainer, checkpointing)
        if batch is not None:
            tried = probe(min(batch.batch_size, len(longest_first)))
            # Numbers that were asked for are run; if they fit in no way, the guard tells what would.
            known = batch if tried.share <= SHARE or checkpointing else None
            return None if known is None else Measured(known, checkpointing, tried.share)
        # Recomputing, what fitted without will.
        first = found[-1].batch.batch_size if found else 1
        size = largest_batch(probe, min(per_rank, len(longest_first)), first)
        if size == 0:
            return None
        fits = batch_of_size(size, per_rank, job.world_size)
        return Measured(fits, checkpointing, probe(fits.batch_size).share)

    given = training.gradient_checkpointing
    modes = (given,) if given is not None else (False, True) if job.on_gpu else (False,)
    found: list[Measured] = []
    for checkpointing in modes:
        if (measured := fitting(checkpointing)) is not None:
            found.append(measured)
            if measured.batch.gradient_accumulation_steps == 1 or batch is not None:
                break
    if not found:
        raise TrainingError(
            f"not even one unit of {int(job.units['num_tokens'].max())} tokens fits into {SHARE:.0%} of "
            f"{memory.limit_bytes / 2**30:.1f} GiB; lower max_seq_length, or use qlora"
        )
    best = found[0]
    if len(found) > 1:
        best = max(found, key=lambda one: _units_per_second(trainer, one, probe))
    set_gradient_checkpointing(trainer, best.gradient_checkpointing)
    return best


def _units_per_second(trainer: Any, measured: Measured, probe: Callable[[int], Probe]) -> float:
    """Of a micro-batch that went through before, so that nothing is compiled meanwhile."""
    set_gradient_checkpointing(trainer, measured.gradient_checkpointing)
    size = measured.batch.batch_size
    return size / min(probe(size).seconds for _ in range(2))


def _peak_bytes(trainer: Any, rows: list[dict[str, Any]], memory: DeviceMemory) -> int | None:
    """Peak memory of one micro-batch forward and backward; None when it ran out."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.train()
    memory.reset_peak()
    try:
        inputs = trainer._prepare_inputs(trainer.collate(rows))
        with trainer.accelerator.autocast():
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
    return memory.peak_bytes()


def _optimizer_bytes(trainer: Any) -> int:
    """What the optimizer's state will take: two numbers of four bytes a trained weight, at most."""
    return sum(8 * weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)
