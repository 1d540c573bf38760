"""The same packs in the same steps give the same loss on any number of ranks.

Real ranks: processes over gloo with Unsloth and TRL, a tiny Llama, examples of uneven length.
"""

from pathlib import Path
from typing import Any

import pytest

from opensloth_core import run_prepare_data, run_training
from opensloth_core.runs.events import read_events

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
    for curve in curves.values():
        for step, expected in zip(curve, reference, strict=True):
            assert step["trained_tokens"] == expected["trained_tokens"]
            assert step["loss"] == pytest.approx(expected["loss"], abs=1e-4)
            assert step["grad_norm"] == pytest.approx(expected["grad_norm"], rel=1e-3)


@pytest.mark.slow
def test_the_loss_of_a_pack_is_the_token_weighted_loss_of_its_examples(
    tiny_model_dir: Path, chat_data: Path, home: Path
) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM

    from opensloth_core.training.collate import example_rows

    prepared = run_prepare_data(
        {"data": str(chat_data), "model": str(tiny_model_dir), "gpus": 1, "max_seq_length": 192}
    )
    pack = Dataset.from_file(str(prepared.folder / prepared.manifest.shards[0]))[0]
    assert len(pack["seq_lengths"]) > 1
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    total, count, start = 0.0, 0, 0
    for length in pack["seq_lengths"]:
        ids = torch.tensor([pack["input_ids"][start : start + length]])
        labels = torch.tensor([pack["labels"][start : start + length]])
        logits = model(ids).logits[0, :-1]
        total += torch.nn.functional.cross_entropy(logits, labels[0, 1:], reduction="sum").item()
        count += int((labels[0, 1:] != -100).sum())
        start += length
    batch = example_rows([pack])
    logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    summed = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch["labels"][:, 1:].flatten(), reduction="sum"
    )
    assert count == sum(label != -100 for label in pack["labels"])
    assert summed.item() / count == pytest.approx(total / count, rel=1e-6)
