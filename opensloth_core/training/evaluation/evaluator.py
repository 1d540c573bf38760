"""Evaluates the policy on the held-out units, spread over the ranks."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset

from opensloth_core.data.throttle import OnceSlow
from opensloth_core.runs.events import Progress, no_progress
from opensloth_core.training.device_memory import DeviceMemory
from opensloth_core.training.evaluation.held_out import num_tokens, rank_batches
from opensloth_core.training.evaluation.measure import Measure
from opensloth_core.training.evaluation.undisturbed import undisturbed
from opensloth_core.training.guard.memory import is_out_of_memory


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, the same on every rank."""

    metrics: dict[str, float]
    num_units: int
    """Units of all ranks."""

    seconds: float


class Evaluator:
    """Held-out units and how they are measured; every rank has one, and all evaluate together."""

    def __init__(self, measure: Measure, units: Dataset, rank: int, world_size: int, device: str) -> None:
        self._measure, self._units, self._device = measure, units, device
        self._rank, self._world_size = rank, world_size
        self._num_tokens_U = num_tokens(units)

    def evaluate(self, model: Any, batch_size: int, progress: Progress = no_progress) -> Evaluation | None:
        """Metrics over all units; None, on every rank, where one of them ran out of memory.

        Nothing of the training changes. The ranks meet once, at the end, so one without units just waits.

        Args:
            model: what is evaluated, not wrapped for training.
            batch_size: units that run at once; what training fits into memory fits here.
            progress: told of this rank's tokens, where they take seconds.
        """
        began = time.perf_counter()
        names = self._measure.names
        totals = dict.fromkeys(names, 0.0)
        ran_out = False
        batches = rank_batches(self._num_tokens_U, self._rank, self._world_size, batch_size)
        report, num_done = OnceSlow(progress), 0
        total = sum(int(self._num_tokens_U[batch].sum()) for batch in batches)
        try:
            with undisturbed(model):
                for batch in batches:
                    sums = self._measure.sums(self._units.select(batch).to_list())
                    totals = {name: totals[name] + sums[name] for name in names}
                    num_done += int(self._num_tokens_U[batch].sum())
                    report("evaluate", num_done, total)
        except (RuntimeError, MemoryError) as err:
            if not is_out_of_memory(err):
                raise
            ran_out = True
        if ran_out:
            # Outside the handler, whose error holds on to the tensors.
            DeviceMemory(self._device, self._world_size).release()
        shared = torch.tensor([*totals.values(), ran_out], dtype=torch.float64, device=self._device)
        torch.distributed.all_reduce(shared)
        *summed, num_ran_out = shared.tolist()
        if num_ran_out:
            return None
        metrics = self._measure.metrics(dict(zip(names, summed, strict=True)))
        return Evaluation(metrics, len(self._units), time.perf_counter() - began)
