"""What our trainers have in common: they run the plan, and nothing shuffles or shards it again."""

import time
from functools import cached_property
from typing import Any

import torch
from torch.utils.data import DataLoader

from opensloth_core.training.checkpoint.trainer import CheckpointedTrainer
from opensloth_core.training.feed import MicroBatches, MicroBatchLoader
from opensloth_core.training.guard.finite import FiniteTrainer
from opensloth_core.training.job import RankJob
from opensloth_core.training.own_time import OwnTime


class PlannedTrainer(CheckpointedTrainer, FiniteTrainer):
    """Goes before one of TRL's trainers in a class's bases; `job` is set in the class's body."""

    job: RankJob
    """What this rank does."""

    data_wait_seconds: float = 0.0
    """How long the last step waited for its data."""

    @cached_property
    def own_time(self) -> OwnTime | None:
        """What this rank works in a step, from the first on; None where it has nobody to wait for."""
        return OwnTime(self.model, self.job.on_gpu) if self.job.world_size > 1 else None  # type: ignore[attr-defined]

    def rows_per_micro_batch(self) -> int:
        """Rows of the dataset that a micro-batch reads."""
        return self.job.unit_batch.batch_size

    def collate(self, rows: list[dict[str, Any]]) -> Any:
        """A micro-batch from its rows."""
        return self.data_collator(rows)  # type: ignore[attr-defined]

    def probe_loss(self, model: Any, inputs: Any) -> Any:
        """A loss whose computation takes the memory of a micro-batch, without asking other ranks anything."""
        known = {name: inputs[name] for name in inputs if name != "completion_mask"}
        return model(**{"labels": known["input_ids"], **known}).loss

    def take_over(self, job: RankJob) -> None:
        """Run a job with other batch numbers from now on."""
        training, args = job.config.training, self.args  # type: ignore[attr-defined]
        self.job, self.train_dataset = job, job.dataset()
        args.per_device_train_batch_size = job.batch.batch_size
        args.gradient_accumulation_steps = job.batch.gradient_accumulation_steps
        args.max_steps = job.plan.num_steps
        args.warmup_steps = round(training.warmup_ratio * job.plan.num_steps)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The micro-batches of this rank, from the first step that is left."""
        dataset, accumulation = self.train_dataset, self.job.batch.gradient_accumulation_steps
        times = accumulation if self.job.unit_batch != self.job.batch else 1
        batches = MicroBatches(
            len(dataset), self.rows_per_micro_batch(), self.first_step * accumulation, times
        )
        return MicroBatchLoader(dataset, batches, self.collate, self.job.device)

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        """What the trainer gives, the loss timed."""
        found = super().compute_loss(*args, **kwargs)  # type: ignore[misc]
        if self.own_time:
            self.own_time.timed(found[0] if isinstance(found, tuple) else found)
        return found

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log a step, with the time it waited for its data and that of its own work, data included."""
        # Trainers take the whole plan for one epoch, and a resumed run for its beginning.
        self.state.epoch = self.epochs_done(self.state.global_step)
        seconds = {"data_wait_seconds": self.data_wait_seconds}
        if self.own_time and "loss" in logs:
            seconds["own_seconds"] = self.own_time.taken() + self.data_wait_seconds
        super().log({**logs, **seconds}, *args, **kwargs)

    def get_batch_samples(
        self, epoch_iterator: Any, num_batches: int, device: Any = None, *_: Any
    ) -> tuple[list[Any], torch.Tensor]:
        """One step's micro-batches, and the trained tokens of the step over all ranks.

        The count comes from the plan, so no rank has to ask the others for theirs.
        """
        if self.own_time:
            self.own_time.taken()  # what came before the step is none of its work
        began = time.perf_counter()
        batches = [next(epoch_iterator) for _ in range(num_batches)]
        self.data_wait_seconds = time.perf_counter() - began
        self.restore_random_state()
        step = self.state.global_step
        return batches, torch.tensor(self.job.plan.trained_tokens_S[step], device=device)
