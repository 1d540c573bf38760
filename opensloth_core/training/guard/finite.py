"""Stops at the first step whose loss or gradient is not finite, before it can harm anything.

The gradient norm is looked at after the backward pass and before the optimizer's step, so the weights are
still those that gave the loss: the rows can be run again one at a time, and nothing bad is ever saved. It is
one number a step, the same on all ranks; the losses of the micro-batches stay on the device until one is
asked for.
"""

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import torch

from opensloth_core.errors import TrainingError
from opensloth_core.training.guard.findings import Finding, share
from opensloth_core.training.guard.suspects import examine
from opensloth_core.training.guard.verdict import verdict
from opensloth_core.training.job import RankJob


class FiniteTrainer:
    """Goes before one of the trainers in a class's bases.

    Raises:
        TrainingError: from `train()`, the same on all ranks: the step, the rows, and what to try.
    """

    job: RankJob
    state: Any
    accelerator: Any
    _losses: tuple[torch.Tensor, ...] = ()

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """One micro-batch forward and backward; keeps its loss, on the device."""
        loss: torch.Tensor = super().training_step(*args, **kwargs)  # type: ignore[misc]
        if len(self._losses) == self.job.batch.gradient_accumulation_steps:
            self._losses = ()
        self._losses = (*self._losses, loss.detach())
        return loss

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        """The gradient norm of the step, if it is finite; called between backward pass and optimizer."""
        grad_norm = super()._get_grad_norm(*args, **kwargs)  # type: ignore[misc]
        # Where a loss is scaled (float16), an overflow is a step that is skipped and a smaller scale.
        if self.accelerator.scaler is None and not math.isfinite(float(grad_norm)):
            self._stop(self.state.global_step + 1, float(grad_norm))
        return grad_norm

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log a step; one whose loss alone is not finite ends here, before it is saved."""
        super().log(logs, *args, **kwargs)  # type: ignore[misc]
        if not math.isfinite(logs.get("loss", 0.0)):
            self._stop(self.state.global_step, logs.get("grad_norm"))

    def _stop(
        self, step: int, grad_norm: float | None, given_losses: Sequence[float] | None = None
    ) -> NoReturn:
        """End the run.

        Args:
            given_losses: those of the micro-batches, where the step did not come as far as to have its own.
        """
        job = self.job
        losses = [loss.item() for loss in self._losses] if given_losses is None else list(given_losses)
        bad = [number for number, loss in enumerate(losses) if not math.isfinite(loss)]
        if job.config.method == "grpo":
            bad = bad[:1]  # its micro-batches share the prompts of the step
        examined = [examine(self, job, step, number, losses[number]) for number in bad]
        own = Finding(job.rank, tuple(losses), tuple(examined))
        raise TrainingError(
            verdict(step, grad_norm, share(own, step, job.world_size), job.config, job.run)
        ) from None


def check_weights(model: Any) -> None:
    """Refuse to save weights that the last step has made useless.

    Raises:
        TrainingError: a trained weight is not finite.
    """
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters() if weight.requires_grad):
        raise TrainingError("the last step left weights that are not finite, so nothing is saved; lower --lr")
