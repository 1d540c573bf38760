"""The reference is the model as it was given."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from opensloth_core.training.grpo.reference import ReferencePolicy

INPUT_IDS = torch.tensor([[1, 40, 50, 60]])


def adapted(tiny_model_dir: Path, is_fresh: bool) -> Any:
    """The tiny model with an adapter, which changes nothing yet when it is fresh."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], lora_dropout=0.5))
    if not is_fresh:
        change(model)
    return model.train()


def change(model: Any) -> None:
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight += torch.randn_like(weight)


def logits(model: Any) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        found: torch.Tensor = model(INPUT_IDS).logits
    model.train()
    return found


@pytest.mark.parametrize("is_fresh", [True, False], ids=["a fresh adapter", "a continued adapter"])
def test_the_reference_stays_the_model_as_given_while_the_policy_changes(
    tiny_model_dir: Path, is_fresh: bool
) -> None:
    model = adapted(tiny_model_dir, is_fresh)
    given = logits(model)
    reference = ReferencePolicy(model)
    change(model)
    policy = logits(model)
    assert not torch.allclose(policy, given, atol=1e-2)
    with reference.in_place(model):
        assert torch.equal(model(INPUT_IDS).logits, given)
    assert torch.equal(logits(model), policy)


def test_the_reference_of_a_fresh_adapter_is_the_model_without_it(tiny_model_dir: Path) -> None:
    model = adapted(tiny_model_dir, is_fresh=True)
    reference = ReferencePolicy(model)
    change(model)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    with reference.in_place(model):
        assert torch.allclose(model(INPUT_IDS).logits, base(INPUT_IDS).logits, atol=1e-6)


def test_where_all_weights_are_trained_all_are_kept(tiny_model_dir: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    given = logits(model)
    reference = ReferencePolicy(model)
    with torch.no_grad():
        model.lm_head.weight *= 2
    with reference.in_place(model):
        assert torch.equal(model(INPUT_IDS).logits, given)
    assert torch.allclose(logits(model), 2 * given)


def test_the_policy_goes_on_training_behind_the_reference(tiny_model_dir: Path) -> None:
    model = adapted(tiny_model_dir, is_fresh=True)
    reference = ReferencePolicy(model)
    with reference.in_place(model):
        assert not model.training
        assert not model(INPUT_IDS).logits.requires_grad
    assert all(module.training for module in model.modules())
    model(INPUT_IDS).logits.sum().backward()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert trained and all(weight.grad is not None for weight in trained)
