"""What a model is compared with in preference tuning: itself, before it is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from opensloth_core.training.dpo import adapter_changes_nothing, frozen_copy


def tiny_model(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.fixture
def add_adapter(tiny_model_dir: Path) -> Callable[..., Any]:
    """Puts a new adapter on the tiny model."""
    from peft import LoraConfig, get_peft_model

    def add(**settings: Any) -> Any:
        return get_peft_model(
            tiny_model(tiny_model_dir), LoraConfig(r=2, target_modules=["q_proj"], **settings)
        )

    return add


def test_a_new_adapter_changes_nothing_until_one_weight_of_b_is_not_zero(add_adapter: Any) -> None:
    model = add_adapter()
    assert adapter_changes_nothing(model)
    last = [weight for name, weight in model.named_parameters() if ".lora_B." in name][-1]
    with torch.no_grad():
        last[-1, -1] = 1e-6
    assert not adapter_changes_nothing(model)


def test_an_adapter_that_trains_more_than_lora_matrices_may_have_changed_the_model(add_adapter: Any) -> None:
    assert not adapter_changes_nothing(add_adapter(modules_to_save=["lm_head"]))


def test_a_frozen_copy_shares_nothing_with_the_model(tiny_model_dir: Path) -> None:
    model, ids = tiny_model(tiny_model_dir).train(), torch.tensor([[1, 70, 80]])
    copied, expected = frozen_copy(model), model(ids).logits
    assert not copied.training and not any(weight.requires_grad for weight in copied.parameters())
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    assert torch.equal(copied(ids).logits, expected) and not torch.equal(model(ids).logits, expected)
