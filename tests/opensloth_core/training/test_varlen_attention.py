"""Attention over packs. The kernel needs a GPU; the places it is put in are looked at anywhere."""

import inspect

import pytest
import torch

from opensloth_core.training.varlen_attention import grouped_varlen_attention, use_varlen_attention

LENGTHS = (5, 1, 64, 30)


@pytest.mark.slow
def test_unsloth_has_the_places_the_kernel_is_put_in() -> None:
    import unsloth
    import unsloth.models.llama
    from unsloth.utils import attention_dispatch

    assert unsloth.__version__
    call = set(attention_dispatch._varlen_attn_call.__code__.co_names)
    assert {"_TORCH_VARLEN_ATTN", "_LEAN_VARLEN", "_varlen_can_use_cudnn"} <= call
    assert "_TORCH_VARLEN_ATTN" in attention_dispatch._torch_varlen_takes.__code__.co_names
    before = attention_dispatch._TORCH_VARLEN_ATTN
    use_varlen_attention()
    assert attention_dispatch._TORCH_VARLEN_ATTN is (before or grouped_varlen_attention)


def test_it_is_called_as_the_later_kernel_is() -> None:
    from torch.nn.attention.varlen import varlen_attn

    theirs, ours = (inspect.signature(one).parameters for one in (varlen_attn, grouped_varlen_attention))
    shared = [name for name in theirs if name in ("scale", "window_size", "enable_gqa")]
    assert [name for name in ours if name in shared] == shared
    assert len([one for one in ours.values() if one.kind is one.POSITIONAL_OR_KEYWORD]) == 7


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel needs a GPU")
@pytest.mark.parametrize("kv_heads", [8, 2])
def test_an_example_of_a_pack_sees_itself_alone(kv_heads: int) -> None:
    torch.manual_seed(0)
    total = sum(LENGTHS)
    heads = {"query": 8, "key": kv_heads, "value": kv_heads}
    packed = {
        name: torch.randn(total, count, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True)
        for name, count in heads.items()
    }
    starts = torch.tensor([0, *torch.tensor(LENGTHS).cumsum(0)], dtype=torch.int32, device="cuda")
    mixed = grouped_varlen_attention(
        packed["query"],
        packed["key"],
        packed["value"],
        starts,
        starts,
        max(LENGTHS),
        max(LENGTHS),
        scale=None,
        window_size=(-1, 0),
        enable_gqa=kv_heads != 8,
    )
    mixed.float().square().sum().backward()
    alone = {name: rows.detach().clone().requires_grad_() for name, rows in packed.items()}
    parts = []
    for rows in zip(*(one.split(LENGTHS) for one in alone.values()), strict=True):
        query, key, value = (one.transpose(0, 1)[None] for one in rows)
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, enable_gqa=True
        )
        parts.append(out[0].transpose(0, 1))
    expected = torch.cat(parts)
    expected.float().square().sum().backward()
    torch.testing.assert_close(mixed, expected, atol=2e-2, rtol=2e-2)
    for name in heads:
        torch.testing.assert_close(packed[name].grad, alone[name].grad, atol=6e-2, rtol=6e-2)
