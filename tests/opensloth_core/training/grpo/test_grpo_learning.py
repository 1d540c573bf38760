"""GRPO learns what it is rewarded for: a whole run, from a file of prompts to an adapter."""

import json
from pathlib import Path
from statistics import fmean

import pytest

from opensloth_core import run_training
from opensloth_core.runs.events import read_events

REWARD = '''
def letters(completions):
    """Share of lower case letters."""
    return [sum("a" <= c <= "z" for c in text) / max(1, len(text)) for text in completions.texts]
'''


@pytest.fixture
def decided_model_dir(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """The tiny model with a head twenty times as strong: the small one finds all bytes equally likely."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
    with torch.no_grad():
        model.lm_head.weight *= 20
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_users_own_reward_rises_clearly_within_a_dozen_steps(
    decided_model_dir: Path, home: Path, tmp_path: Path, warm_ranks: None
) -> None:
    (home / "rewards").mkdir(parents=True)
    (home / "rewards" / "share.py").write_text(REWARD)
    data = tmp_path / "prompts.jsonl"
    data.write_text("".join(json.dumps({"prompt": f"Say something about {i}."}) + "\n" for i in range(40)))
    trained = run_training(
        {
            "data": str(data),
            "model": str(decided_model_dir),
            "method": "grpo",
            "reward": "share:letters",
            "gpus": 1,
            "max_seq_length": 64,
            "max_completion_length": 16,
            "num_generations": 8,
            "batch_size": 32,
            "max_steps": 12,
            "learning_rate": 0.01,
            "dtype": "float32",
        }
    )
    steps = [e for e in read_events(trained.run_dir / "events.jsonl") if e["kind"] == "step"]
    rewards = [step["metrics"]["reward"] for step in steps]
    assert len(rewards) == 12
    assert rewards[0] < 0.3  # 26 of the 256 bytes are letters
    assert fmean(rewards[-3:]) > 0.7
    assert steps[-1]["metrics"]["entropy"] < steps[0]["metrics"]["entropy"] - 0.5
    assert (trained.adapter_dir / "adapter_model.safetensors").exists()
