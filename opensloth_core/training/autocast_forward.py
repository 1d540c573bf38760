"""Autocast around a model's forward pass, however it came by it.

Where all weights are trained in bfloat16, Unsloth keeps those of norms in float32 and puts autocast around
the forward pass, so that matrix products are bfloat16. TRL's fused head for log probabilities calls the
model's body itself, past that.
"""

import functools
from typing import Any

import torch


def run_in_autocast(model: Any, device_type: str, dtype: torch.dtype) -> None:
    """Have every forward pass of a model run in autocast."""
    forward = model.forward

    @functools.wraps(forward)
    def in_autocast(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device_type, dtype):
            return forward(*args, **kwargs)

    model.forward = in_autocast


def has_mixed_weights(model: Any) -> bool:
    """Whether some weights are bfloat16 and some float32, which only multiply in autocast."""
    dtypes = {weight.dtype for weight in model.parameters()}
    return {torch.bfloat16, torch.float32} <= dtypes
