"""Data that grows, and an adapter that has learnt nothing of it."""

import json
from pathlib import Path

import numpy as np

from opensloth_core.models.tiny import HIDDEN, INTERMEDIATE, LAYERS

RANK = 16
SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
    "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}
"""Layers of the tiny model with an adapter, by their numbers of outputs and inputs."""


def write_rows(path: Path, count: int, answer: str) -> None:
    rows = [{"question": f"Colour of flag {i}?", "answer": answer} for i in range(count)]
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in rows))
    partial.rename(path)


def write_untrained_adapter(folder: Path, model_dir: Path) -> Path:
    """An adapter of the tiny model that changes nothing, as every new one."""
    from safetensors.numpy import save_file

    folder.mkdir()
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(model_dir),
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": [name.rpartition(".")[2] for name in SHAPES],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    random, weights = np.random.default_rng(0), {}
    for layer in range(LAYERS):
        for name, (num_out, num_in) in SHAPES.items():
            place = f"base_model.model.model.layers.{layer}.{name}"
            scale = np.float32(num_in**-0.5)
            weights[f"{place}.lora_A.weight"] = scale * random.standard_normal((RANK, num_in), np.float32)
            weights[f"{place}.lora_B.weight"] = np.zeros((num_out, RANK), np.float32)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder
