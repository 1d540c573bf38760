"""Batch arithmetic, in one place.

global_batch_size = batch_size * gradient_accumulation_steps * world_size

counted in packs (sft), pairs (dpo) or completions (grpo).
"""

from dataclasses import dataclass

from opensloth_core.errors import ConfigError


@dataclass(frozen=True)
class BatchPlan:
    """How many units meet where in one optimizer step."""

    batch_size: int
    """Units in one micro-batch on one rank."""

    gradient_accumulation_steps: int
    """Micro-batches a rank runs in one step."""

    world_size: int

    @property
    def global_batch_size(self) -> int:
        return self.batch_size * self.gradient_accumulation_steps * self.world_size


def batch_plan(
    batch_size: int,
    gradient_accumulation_steps: int | None,
    global_batch_size: int | None,
    world_size: int,
) -> BatchPlan:
    """The batch numbers of a run; of accumulation and global batch, the one not given follows.

    Raises:
        ConfigError: the global batch is no multiple of batch_size * world_size, or contradicts a
            given accumulation.
    """
    if global_batch_size is None:
        return BatchPlan(batch_size, gradient_accumulation_steps or 1, world_size)
    micro = batch_size * world_size
    if global_batch_size % micro:
        raise ConfigError(
            f"global_batch_size {global_batch_size} is not a multiple of batch_size {batch_size} x "
            f"{world_size} GPUs = {micro}; change one of the three"
        )
    accumulation = global_batch_size // micro
    if gradient_accumulation_steps not in (None, accumulation):
        raise ConfigError(
            f"gradient_accumulation_steps {gradient_accumulation_steps} contradicts global_batch_size "
            f"{global_batch_size} = batch_size {batch_size} x {accumulation} x {world_size} GPUs; "
            "give one of the two"
        )
    return BatchPlan(batch_size, accumulation, world_size)


def check_groups(plan: BatchPlan, num_generations: int) -> None:
    """Refuse batches in which the completions of a prompt would not be on one rank, in one step.

    Raises:
        ConfigError: a rank's completions in a step are no multiple of `num_generations`.
    """
    completions = plan.batch_size * plan.gradient_accumulation_steps
    if completions % num_generations:
        raise ConfigError(
            f"batch_size {plan.batch_size} x gradient_accumulation_steps "
            f"{plan.gradient_accumulation_steps} = {completions} completions a step on a GPU are not a "
            f"multiple of num_generations {num_generations}; change one of the three"
        )
