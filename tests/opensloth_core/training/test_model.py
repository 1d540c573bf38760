"""Training goes on from what an earlier run left: real runs, compared with stock transformers and PEFT."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opensloth_core import run_training
from opensloth_core.models.adapter import read_adapter
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.prepared import open_prepared, prepared_dir
from opensloth_core.training.feed import open_units, rank_dataset
from opensloth_core.training.plan import training_plan

SETTINGS = {
    "gpus": 1,
    "max_seq_length": 192,
    "batch_size": 4,
    "learning_rate": 0.05,
    "warmup_ratio": 0,
    "dtype": "float32",
    "save_steps": 0,
    "eval_generations": 0,
}


def first_step(run_dir: Path) -> tuple[float, float]:
    """Loss and gradient norm of a run's first step."""
    step = next(event for event in read_events(run_dir / "events.jsonl") if event["kind"] == "step")
    return step["loss"], step["grad_norm"]


def stock_step(run_dir: Path, model: Any) -> tuple[float, float]:
    """Loss and gradient norm of the first step's examples, each alone through a stock model."""
    import torch

    run = RunDirectory(run_dir)
    config, manifest = run.config(), open_prepared(run.launch().prepared_key)
    folder = prepared_dir(manifest.key)
    units = open_units(folder).with_format("numpy")[:]
    plan = training_plan(units["num_tokens"], units["num_trained"], config.batch_plan(1), 1.0, 1, config.seed)
    total = torch.zeros(())
    for pack in rank_dataset(folder, manifest.shards, plan.slots_of(0)):
        ends = np.cumsum(pack["seq_lengths"])
        for start, end in zip(ends - pack["seq_lengths"], ends, strict=True):
            labels = torch.tensor(pack["labels"][start + 1 : end])
            logits = model(torch.tensor([pack["input_ids"][start:end]])).logits[0, :-1]
            total = total + torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    loss = total / plan.trained_tokens_S[0]
    loss.backward()
    grads = [weight.grad.norm() for weight in model.parameters() if weight.grad is not None]
    return loss.item(), torch.stack(grads).norm().item()


def stock_model(model_dir: Path, adapter_dir: Path) -> Any:
    """A model with an adapter in training, by PEFT alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    return PeftModel.from_pretrained(base, adapter_dir, is_trainable=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_goes_on_with_the_adapter_of_another_or_merges_it(
    tiny_model_dir: Path, chat_data: Path, home: Path, warm_ranks: None
) -> None:
    from safetensors.torch import load_file

    settings = {"data": str(chat_data), **SETTINGS}
    first = run_training({**settings, "model": str(tiny_model_dir), "max_steps": 3, "lora_rank": 4})
    adapter = read_adapter(first.adapter_dir)
    assert (adapter.base, adapter.config["r"]) == (str(tiny_model_dir), 4)

    # Recomputed activations need inputs with gradients, which a new adapter's set-up sees to.
    go_on = {**settings, "max_steps": 1, "gradient_checkpointing": True}
    second = run_training({**go_on, "model": str(first.adapter_dir)})
    loss, grad_norm = stock_step(second.run_dir, stock_model(tiny_model_dir, first.adapter_dir))
    assert loss < first_step(first.run_dir)[0] - 0.01
    assert first_step(second.run_dir) == (pytest.approx(loss, abs=1e-5), pytest.approx(grad_norm, rel=1e-3))
    before, after = (load_file(run.adapter_dir / "adapter_model.safetensors") for run in (first, second))
    assert before.keys() == after.keys()
    assert all((before[name] != after[name]).any() for name in before)
    assert read_adapter(second.adapter_dir).settings == adapter.settings
    # The tokenizer that was saved is the base's, so its prepared data serves on.
    keys = {RunDirectory(run.run_dir).launch().prepared_key for run in (first, second)}
    assert len(keys) == 1

    merged = run_training({**settings, "max_steps": 1, "init_from": first.run_dir.name, "merge_lora": True})
    assert first_step(merged.run_dir)[0] == pytest.approx(loss, abs=1e-5)
    config = json.loads((merged.adapter_dir / "adapter_config.json").read_text())
    base = Path(config["base_model_name_or_path"])
    assert (base.parent, config["r"]) == (home / "models", 16)
    # What PEFT alone makes of the result is what the run after it starts with.
    third = run_training({**settings, "max_steps": 1, "init_from": str(merged.run_dir)})
    loss, _ = stock_step(third.run_dir, stock_model(base, merged.adapter_dir))
    assert first_step(third.run_dir)[0] == pytest.approx(loss, abs=1e-5)
