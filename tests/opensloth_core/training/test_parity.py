"""The same packs in the same steps give the same loss on any number of ranks.

Real ranks: processes over gloo with Unsloth and TRL, a tiny Llama, examples of uneven length.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opensloth_core import run_training
from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.prepared import open_prepared, prepared_dir
from opensloth_core.training.feed import open_units, rank_dataset
from opensloth_core.training.plan import training_plan

SETTINGS = {
    "max_seq_length": 192,
    "max_steps": 6,
    "global_batch_size": 4,
    "learning_rate": 0.05,
    "dtype": "float32",
    "lora_rank": 4,
}


def steps_of(run_dir: Path) -> list[dict[str, Any]]:
    return [e for e in read_events(run_dir / "events.jsonl") if e["kind"] == "step" and e["rank"] == 0]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_ranks_and_accumulation_give_the_curve_of_one_rank(
    tiny_model_dir: Path, chat_data: Path, home: Path, two_cores: None
) -> None:
    base = {"data": str(chat_data), "model": str(tiny_model_dir), **SETTINGS}
    runs = {
        "1 rank": run_training({**base, "gpus": 1, "batch_size": 4}),
        "1 rank, accumulation 2": run_training({**base, "gpus": 1, "batch_size": 2}),
        "2 ranks": run_training({**base, "gpus": 2, "batch_size": 2}),
    }
    curves = {name: steps_of(run.run_dir) for name, run in runs.items()}
    reference = curves["1 rank"]
    assert [step["step"] for step in reference] == [1, 2, 3, 4, 5, 6]
    assert reference[-1]["loss"] < reference[0]["loss"] - 0.1
    # The adapter changes nothing yet in the first step.
    alone = loss_of_examples_alone(runs["1 rank"].run_dir, tiny_model_dir)
    assert reference[0]["loss"] == pytest.approx(alone, abs=1e-5)
    for curve in curves.values():
        for step, expected in zip(curve, reference, strict=True):
            assert step["trained_tokens"] == expected["trained_tokens"]
            assert step["loss"] == pytest.approx(expected["loss"], abs=1e-4)
            assert step["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)


def loss_of_examples_alone(run_dir: Path, model_dir: Path) -> float:
    """Token-weighted loss of the first step's examples, each alone through the stock model."""
    import torch
    from transformers import AutoModelForCausalLM

    run = RunDirectory(run_dir)
    config, manifest = run.config(), open_prepared(run.launch().prepared_key)
    folder = prepared_dir(manifest.key)
    packs = open_units(folder).with_format("numpy")[:]
    batch = config.batch_plan(1)
    plan = training_plan(packs["num_tokens"], packs["num_trained"], batch, 1.0, 1, config.seed)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    total, count = 0.0, 0
    for pack in rank_dataset(folder, manifest.shards, plan.slots_of(0)):
        assert len(pack["seq_lengths"]) > 1
        ends = np.cumsum(pack["seq_lengths"])
        for start, end in zip(ends - pack["seq_lengths"], ends, strict=True):
            labels = torch.tensor(pack["labels"][start + 1 : end])
            logits = model(torch.tensor([pack["input_ids"][start:end]])).logits[0, :-1]
            total += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
            count += int((labels != IGNORE_INDEX).sum())
    assert count == plan.trained_tokens_S[0]
    return total / count
