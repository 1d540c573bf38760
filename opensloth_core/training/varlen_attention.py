"""Attention over packs in one kernel, on PyTorch releases for which Unsloth would loop over the examples.

Unsloth hands packs to `torch.nn.attention.varlen.varlen_attn` from PyTorch 2.12 on, whose signature has
`enable_gqa`. Before it calls the dense kernel once an example, layer and pass: on an H200 under PyTorch 2.11
a micro-batch of 129 examples took 2.07 s so, and 0.52 s with the kernel. The kernel of 2.11 groups heads all
the same, it is only the signature that does not say so.
"""

import inspect
from typing import Any

import torch


def use_varlen_attention() -> None:
    """Have Unsloth use the kernel wherever PyTorch has it; call it after `import unsloth`, on a GPU."""
    import unsloth.models.llama  # noqa: F401  # the next import goes round in circles without it
    from torch.nn.attention.varlen import varlen_attn
    from unsloth.utils import attention_dispatch

    if attention_dispatch._TORCH_VARLEN_ATTN is not None or not _takes_windows(varlen_attn):
        return
    attention_dispatch._TORCH_VARLEN_ATTN = grouped_varlen_attention
    # Unsloth's own call of the same kernel, without the dispatch of a custom operator: 14 % of a small step.
    attention_dispatch._LEAN_VARLEN = True
    attention_dispatch._varlen_can_use_cudnn = lambda *_: False


def _takes_windows(varlen_attn: Any) -> bool:
    return "window_size" in inspect.signature(varlen_attn).parameters


def grouped_varlen_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts_query: torch.Tensor,
    starts_key: torch.Tensor,
    longest_query: int,
    longest_key: int,
    *,
    scale: float | None,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """`varlen_attn` as PyTorch 2.12 has it, on 2.11.

    Args:
        query: (tokens, heads, size of a head), bfloat16 or float16, on a GPU.
        key: (tokens, heads of keys, size of a head); its heads divide those of the query.
        value: as `key`.
        starts_query: (examples + 1,) int32, where each example starts, and the end.
        starts_key: as `starts_query`.
        longest_query: tokens of the longest example.
        longest_key: as `longest_query`.
        scale: of the scores; 1 / sqrt(size of a head) when not given.
        window_size: tokens to the left and right that are seen; (-1, 0) is causal.
        enable_gqa: whether there are fewer heads of keys than of queries.

    Returns:
        (tokens, heads, size of a head).
    """
    from torch.nn.attention.varlen import varlen_attn

    mixed: torch.Tensor = varlen_attn(
        query,
        key,
        value,
        starts_query,
        starts_key,
        longest_query,
        longest_key,
        scale=scale,
        window_size=window_size,
    )
    return mixed
