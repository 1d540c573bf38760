"""A whole run on two ranks with an odd number of held-out pairs, and the stock model beside."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from opensloth_core import run_training
from opensloth_core.data.shard import EVAL_FILE
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.prepared import prepared_dir

BETA = 0.5


def write_pairs(path: Path) -> Path:
    rows = [
        {
            "prompt": f"Which colour has flag {i}?",
            "chosen": "It is " + "green " * (1 + i % 4),
            "rejected": "No " + "idea " * (1 + i % 3),
        }
        for i in range(25)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@torch.no_grad()
def metrics_of_pairs_alone(
    rows: list[dict[str, Any]], model_dir: Path, adapter_dir: Path
) -> dict[str, float]:
    """Of the stock model with the adapter against the stock model without, one answer at a time."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter_dir).eval()

    def log_prob(row: dict[str, Any], answer: str) -> float:
        tokens = torch.tensor([row["prompt_ids"] + row[answer]])
        logits = model(tokens).logits[0].log_softmax(-1)
        first, last = len(row["prompt_ids"]), tokens.shape[1]
        return sum(logits[at - 1, tokens[0, at]].item() for at in range(first, last))

    margins = []
    for row in rows:
        policy = log_prob(row, "chosen_ids") - log_prob(row, "rejected_ids")
        with model.disable_adapter():
            reference = log_prob(row, "chosen_ids") - log_prob(row, "rejected_ids")
        margins.append(BETA * (policy - reference))
    margin = torch.tensor(margins)
    return {
        "loss": -torch.nn.functional.logsigmoid(margin).mean().item(),
        "accuracy": (margin > 0).float().mean().item(),
        "margin": margin.mean().item(),
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_loss_accuracy_and_margin_are_those_of_each_pair_alone(
    tiny_model_dir: Path, tmp_path: Path, home: Path, two_cores: None, warm_ranks: None
) -> None:
    run = run_training(
        {
            "data": str(write_pairs(tmp_path / "pairs.jsonl")),
            "model": str(tiny_model_dir),
            "method": "dpo",
            "beta": BETA,
            "max_seq_length": 192,
            "max_steps": 3,
            "batch_size": 2,
            "learning_rate": 0.02,
            "dtype": "float32",
            "gpus": 2,
            "eval_size": 5,
            "eval_generations": 1,
        }
    )
    log = read_events(run.run_dir / "events.jsonl")
    found = {event["step"]: event for event in log if event["kind"] == "eval"}
    assert sorted(found) == [0, 3]
    assert all(event["num_units"] == 5 for event in found.values())
    assert found[0]["metrics"]["loss"] == pytest.approx(0.693147, abs=1e-5)
    folder = prepared_dir(RunDirectory(run.run_dir).launch().prepared_key)
    rows = Dataset.from_file(str(folder / EVAL_FILE)).to_list()
    expected = metrics_of_pairs_alone(rows, tiny_model_dir, run.adapter_dir)
    assert expected["margin"] > 0.05
    assert found[3]["metrics"] == pytest.approx(expected, abs=1e-4)
    (sample,) = next(event["samples"] for event in log if event["kind"] == "generation")
    assert sample["prompt"].endswith("<|im_start|>assistant\n")
    assert sample["reference"].startswith("It is green")
