"""Forward passes for log probabilities in which padding costs nothing.

A micro-batch of DPO or GRPO is a rectangle of rows that are padded to the longest. Its tokens are joined
into one row, whose attention keeps the rows apart as it does the examples of a pack, and what TRL's head
gives for them is put back into the rectangle, so that trainers see no difference.

Shapes: B rows, L tokens of the longest, T tokens of all rows together.
"""

import functools
from typing import Any

import torch

from opensloth_core.data.units import IGNORE_INDEX

KEEPS_ROWS_APART = {"unsloth.models.llama", "unsloth.models.mistral", "unsloth.models.qwen3"}
"""Modules whose attention reads `packed_seq_lengths`; Qwen 2 has Llama's."""


def leave_padding_out(model: Any) -> bool:
    """Have passes with TRL's fused head skip padding; False where the model's attention could not do it.

    Args:
        model: one that has the head, on a GPU.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    attentions = {type(part).forward for name, part in base.named_modules() if name.endswith(".self_attn")}
    if not attentions or any(forward.__module__ not in KEEPS_ROWS_APART for forward in attentions):
        return False
    base.forward = without_padding(base.forward)
    return True


def padding_title(is_left_out: bool) -> str:
    """How micro-batches are laid out, in one line."""
    return f"micro-batches are {'one row without padding' if is_left_out else 'padded rows'}"


def without_padding(forward: Any) -> Any:
    """The forward pass of a causal language model with TRL's fused head, on rows joined into one.

    Passes without the head, or without a mask that says where padding is, are left as they are.
    """

    @functools.wraps(forward)
    def joined(*args: Any, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> Any:
        if not kwargs.get("fused_lm_head") or attention_mask is None:
            return forward(*args, attention_mask=attention_mask, **kwargs)
        present_BL = attention_mask.bool()
        position_BL = present_BL.cumsum(dim=1) - 1
        # No row says what the next one begins with.
        labels_BL = kwargs.pop("labels").masked_fill(position_BL == 0, IGNORE_INDEX)
        output = forward(
            *args,
            input_ids=kwargs.pop("input_ids")[present_BL][None],
            position_ids=position_BL[present_BL][None],
            labels=labels_BL[present_BL][None],
            packed_seq_lengths=present_BL.sum(dim=1, dtype=torch.int32),
            attention_mask=None,
            **kwargs,
        )
        return type(output)(**{name: _in_rows(value, present_BL) for name, value in output.items()})

    return joined


def _in_rows(value: Any, present_BL: torch.Tensor) -> Any:
    """What was computed for all tokens but the first, (1, T - 1), in its places, (B, L - 1); 0 elsewhere."""
    if value is None or value.dim() != 2:
        return value
    of_tokens_T = torch.cat([value.new_zeros(1), value[0]])
    return value.new_zeros(present_BL.shape).masked_scatter(present_BL, of_tokens_T)[:, 1:]
