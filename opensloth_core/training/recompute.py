"""Gradient checkpointing, switched on a trainer that is built."""

from typing import Any


def set_gradient_checkpointing(trainer: Any, enabled: bool) -> None:
    """Recompute activations in the backward pass from now on, or keep them.

    Args:
        trainer: one whose model was loaded for checkpointing; without, it can only be switched off.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    mode = "unsloth" if enabled else False
    # What Unsloth's `train()` puts back.
    model._unsloth_gradient_checkpointing = mode
    trainer.args.gradient_checkpointing = enabled
    model.for_training(use_gradient_checkpointing=mode)
