"""Saves a trainer's checkpoints and takes one up, in the hooks that transformers' Trainer has for both.

`train()` is called without `resume_from_checkpoint`, so nothing is skipped by reading it and no pickle is
loaded. In its course:

    _init_training_state        the step to go on from
    _prepare_for_training       weights, optimizer, scheduler, scaler, the method's own state
    get_batch_samples           random numbers, once all that draws some before the first step has done so
    _save_checkpoint            TRL's would write a model card, and transformers' would pickle

Source: transformers 5.17, trainer.py, `_inner_training_loop` and `_run_epoch`.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from opensloth_core.config.batch import BatchPlan
from opensloth_core.errors import ConfigError, TrainingError
from opensloth_core.training.checkpoint.made_with import made_with
from opensloth_core.training.checkpoint.manifest import Checkpoint, MadeWith, Position, open_checkpoint
from opensloth_core.training.checkpoint.random_state import (
    fresh_random_state,
    random_state,
    restore_random_state,
)
from opensloth_core.training.checkpoint.restore import (
    restore_counters,
    restore_optimizer,
    restore_scheduler,
    restore_weights,
    trained_weights,
    trainer_part,
)
from opensloth_core.training.checkpoint.tree import read_tree
from opensloth_core.training.checkpoint.write import write_checkpoint
from opensloth_core.training.job import RankJob


class CheckpointedTrainer:
    """Goes before one of TRL's trainers in a class's bases."""

    job: RankJob
    state: Any

    first_step: int = 0
    """Optimizer steps that were done before, when a run is resumed."""

    checkpoint: Checkpoint | None = None
    """What this attempt goes on from."""

    _random_state_due: bool = False

    def extra_state(self) -> Any:
        """What a method has to remember on this rank beside weights, optimizer and random numbers.

        A tree of dicts, lists, tuples, numbers, strings, tensors and numpy arrays.
        """
        return None

    def restore_extra_state(self, state: Any) -> None:
        """Take up what `extra_state` gave."""

    def resume_from(self, path: Path) -> None:
        """Have `train()` go on from a checkpoint, which whoever started this attempt has verified.

        Raises:
            TrainingError: it is not whole.
        """
        checkpoint, problem = open_checkpoint(path, in_full=False)
        if checkpoint is None:
            raise TrainingError(f"{path}: {problem}; resume the run again to use the checkpoint before it")
        self.checkpoint, self.first_step = checkpoint, checkpoint.step

    def batch_of_checkpoint(self) -> BatchPlan | None:
        """The batch numbers to go on with, where they were measured; None when they have to be again."""
        if self.checkpoint is None:
            return None
        before = self.checkpoint.manifest.made_with
        if before.world_size != self.job.world_size:
            return None
        return BatchPlan(before.batch_size, before.gradient_accumulation_steps, before.world_size)

    def epochs_done(self, step: int) -> float:
        """Passes over the data after so many steps."""
        num_units, size = len(self.job.units["num_tokens"]), self.job.unit_batch.global_batch_size
        return step / -(-num_units // size)

    @cached_property
    def _made_with(self) -> MadeWith:
        job, launch = self.job, self.job.run.launch()
        return made_with(job.config, job.manifest.parts, launch.weight_folders, launch.devices, job.batch)

    def _init_training_state(self, *args: Any, **kwargs: Any) -> tuple[int, int]:
        done: tuple[int, int] = super()._init_training_state(*args, **kwargs)  # type: ignore[misc]
        if self.checkpoint:
            if self.first_step >= self.job.plan.num_steps:
                raise ConfigError(
                    f"{self.checkpoint.path}: was made after step {self.first_step}, but this run has "
                    f"{self.job.plan.num_steps} steps; give more epochs or max_steps, or start a new run"
                )
            saved = read_tree(self.checkpoint.path, "trainer")
            restore_counters(self.state, self.first_step, saved)
        return done

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        prepared = super()._prepare_for_training(*args, **kwargs)  # type: ignore[misc]
        if self.job.rank == 0 and self.job.config.training.save_steps:
            _ = self._made_with  # reads the model's folder while it is sure to be there
        if self.checkpoint:
            self._restore(self.checkpoint)
        return prepared

    def _restore(self, checkpoint: Checkpoint) -> None:
        path, trainer = checkpoint.path, self._trainer
        restore_weights(trainer.model, read_tree(path, "weights"))
        restore_optimizer(trainer.optimizer, read_tree(path, "optimizer"))
        saved = read_tree(path, "trainer")
        restore_scheduler(trainer.lr_scheduler, saved["scheduler"])
        if trainer.accelerator.scaler is not None and saved["scaler"] is not None:
            trainer.accelerator.scaler.load_state_dict(saved["scaler"])
        self._random_state_due = True
        if self._was_there:
            self.restore_extra_state(read_tree(path, f"rank-{self.job.rank}")["extra"])

    def restore_random_state(self) -> None:
        """Go on with the random numbers of the checkpoint; at the first call of a resumed run only."""
        if not self._random_state_due or not self.checkpoint:
            return
        self._random_state_due = False
        if self._was_there:
            saved = read_tree(self.checkpoint.path, f"rank-{self.job.rank}")
            restore_random_state(saved["random"], self.job.device)
        else:
            fresh_random_state(self.job.config.seed, self.first_step, self.job.rank)

    @property
    def _was_there(self) -> bool:
        """Whether the checkpoint has a part of this rank."""
        assert self.checkpoint is not None
        return self.job.rank < self.checkpoint.manifest.made_with.world_size

    @property
    def _trainer(self) -> Any:
        return self

    def _save_checkpoint(self, *_: Any, **__: Any) -> None:
        """Save after a step, but not after the last: the result itself is saved then.

        Raises:
            TrainingError: it cannot be written, or the weights are no numbers any more.
        """
        trainer, job = self._trainer, self.job
        step = trainer.state.global_step
        if step >= job.plan.num_steps:
            return
        parts = {f"rank-{job.rank}": {"random": random_state(job.device), "extra": self.extra_state()}}
        if job.rank == 0:
            weights = trained_weights(trainer.model)
            if not all(bool(torch.isfinite(weight).all()) for weight in weights.values()):
                raise TrainingError(
                    f"after step {step} the weights are not finite, so no checkpoint is made of them; "
                    "resume from the one before with a lower learning rate"
                )
            parts |= {
                "weights": weights,
                "optimizer": trainer.optimizer.state_dict(),
                "trainer": trainer_part(trainer),
            }
        trained_tokens = int(job.plan.trained_tokens_S[:step].sum())
        written = write_checkpoint(
            job.run.checkpoints_dir,
            Position(step=step, epoch=self.epochs_done(step), trained_tokens=trained_tokens),
            parts,
            self._made_with,
            job.rank,
            job.device,
            job.config.training.save_total_limit,
        )
        if job.rank == 0:
            job.run.events.write(
                "checkpoint",
                step=step,
                path=str(written.path.relative_to(job.run.path)),
                seconds=written.seconds,
                bytes=written.size_bytes,
            )
