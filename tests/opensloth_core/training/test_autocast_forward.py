"""A model with float32 norms beside bfloat16 products, as Unsloth loads one to train all weights."""

from pathlib import Path

import pytest
import torch

from opensloth_core.training.autocast_forward import has_mixed_weights, run_in_autocast


def test_mixed_weights_multiply_in_autocast(tiny_model_dir: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.bfloat16)
    assert not has_mixed_weights(model)
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.data = weight.data.float()
    assert has_mixed_weights(model)
    tokens = torch.arange(2, 18)[None]
    with pytest.raises(RuntimeError, match="same dtype"):
        model(input_ids=tokens, labels=tokens)

    run_in_autocast(model, "cpu", torch.bfloat16)
    found = model(input_ids=tokens, labels=tokens)
    found.loss.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters())
    exact = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    expected = exact(input_ids=tokens, labels=tokens)
    assert float(found.loss) == pytest.approx(float(expected.loss), abs=2e-2)
    torch.testing.assert_close(found.logits.float(), expected.logits, atol=5e-2, rtol=5e-2)
