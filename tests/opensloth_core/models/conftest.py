"""Adapters of the tiny model, made with plain PEFT."""

from collections.abc import Callable
from pathlib import Path

import pytest

MakeAdapter = Callable[..., Path]


@pytest.fixture(scope="session")
def make_adapter() -> MakeAdapter:
    """Writes an adapter whose B is random, so that it changes what the model says. Gives its folder."""

    def make(model_dir: Path, folder: Path, rank: int = 4, alpha: float = 8, seed: int = 0) -> Path:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        modules = ["q_proj", "down_proj"]
        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=modules, task_type="CAUSAL_LM")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(model_dir, dtype="auto"), config)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if ".lora_B." in name:
                    weight.copy_(torch.randn(weight.shape, generator=generator))
        model.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def adapter_dir(
    tiny_model_dir: Path, make_adapter: MakeAdapter, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An adapter of the tiny model, of rank 4 and alpha 8 on q_proj and down_proj; no tokenizer."""
    return make_adapter(tiny_model_dir, tmp_path_factory.mktemp("adapters") / "first")
