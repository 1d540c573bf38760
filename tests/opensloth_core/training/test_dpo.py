"""DPO trains the right loss against the right reference, on any number of ranks.

Real ranks and real trainers on a tiny Llama; answers of a pair, and pairs, differ much in length.
"""

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from opensloth_core import run_prepare_data, run_training
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.launch.rank import rank_environment
from opensloth_core.runs.directory import Launch
from opensloth_core.runs.events import read_events
from opensloth_core.training.dpo import REFERENCE_ADAPTER
from tests.conftest import COLOURS
from tests.warm.ranks import use_warm_ranks

SETTINGS = {
    "method": "dpo",
    "max_seq_length": 192,
    "max_steps": 7,
    "global_batch_size": 4,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "lr_scheduler": "constant",
    "warmup_ratio": 0,
    "max_grad_norm": 1e9,
    "dtype": "float32",
    "lora_rank": 4,
}
"""22 pairs make 6 steps of 4, so that the last is filled up and the seventh begins an epoch."""

PER_PAIR = (
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
)
"""Metrics that are means over pairs; those over tokens are means over micro-batches, which differ."""
REFERENCES = ("new", "steep", "given", "full")
"""Trials that compare with a new adapter's base (at two betas), a given adapter, a given model."""


@pytest.fixture(scope="module")
def pair_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 preference pairs whose answers have 3 to 70 tokens."""
    rows = [
        {
            "prompt": f"Which colours has flag {i}?",
            "chosen": f"It has {' '.join(COLOURS[(i + k) % 8] for k in range(1 + i * 7 % 11))}.",
            "rejected": "No " * (i * 5 % 9) + "!",
        }
        for i in range(22)
    ]
    path = tmp_path_factory.mktemp("data") / "flags.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def given_dir(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes what the tiny model says."""
    return write_changed_adapter(tiny_model_dir, tmp_path_factory.mktemp("adapters") / "given")


@pytest.fixture(scope="module")
def trials(
    tiny_model_dir: Path,
    pair_data: Path,
    given_dir: Path,
    warm_python: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What trainers of one rank computed, by name; see `dpo_trials`."""
    folder = tmp_path_factory.mktemp("trials")
    base = {**SETTINGS, "data": str(pair_data), "model": str(tiny_model_dir), "gpus": 1, "batch_size": 4}
    changes: dict[str, dict[str, Any]] = {
        "new": {},
        "accumulated": {"batch_size": 2},
        "recomputed": {"gradient_checkpointing": True},
        "steep": {"beta": 0.4},
        "given": {},
        "full": {"finetuning_type": "full", "learning_rate": 0.01},
        "ipo": {"loss_type": "ipo", "max_steps": 1},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSLOTH_HOME", str(folder / "home"))
        key = run_prepare_data(config_of(base).preparation).manifest.key
    todo = {
        name: {
            "config": config_of({**base, **change}).model_dump(mode="json"),
            "prepared_key": key,
            "adapter_dir": str(given_dir) if name == "given" else None,
        }
        for name, change in changes.items()
    }
    (folder / "trials.json").write_text(json.dumps(todo))
    module = "tests.opensloth_core.training.dpo_trials"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSLOTH_HOME", str(folder / "home"))
        use_warm_ranks(warm_python, patch)
        environment = os.environ | rank_environment(Launch(str(tiny_model_dir), ("cpu",), key), 0)
        subprocess.run([warm_python, "-m", module, str(folder)], env=environment, check=True)
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in changes}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ranks_accumulation_and_checkpointing_change_neither_the_curve_nor_the_weights(
    trials: dict[str, Any],
    tiny_model_dir: Path,
    pair_data: Path,
    home: Path,
    two_cores: None,
    warm_ranks: None,
) -> None:
    model_and_data = {"data": str(pair_data), "model": str(tiny_model_dir)}
    two = run_training({**SETTINGS, **model_and_data, "gpus": 2, "batch_size": 2, "eval_generations": 0})
    events = [e for e in read_events(two.run_dir / "events.jsonl") if e["kind"] == "step" and e["rank"] == 1]
    steps = trials["new"]["log"]
    assert [event["step"] for event in events] == [step["step"] for step in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert steps[-1]["loss"] < 0.65
    assert trials["new"]["remembered"] == {"num_tokens": steps[-1]["num_tokens"]}
    curves = {
        "2 ranks": [{**event["metrics"], **event} for event in events],
        "accumulation 2": trials["accumulated"]["log"],
        "gradient checkpointing": trials["recomputed"]["log"],
    }
    for name, curve in curves.items():
        for step, expected in zip(curve, steps, strict=True):
            for value in ("loss", "grad_norm"):
                assert step[value] == pytest.approx(expected[value], rel=0, abs=1e-5), (name, value)
            for value in (*PER_PAIR, "num_tokens"):
                assert step[value] == pytest.approx(expected[value], rel=1e-6, abs=1e-5), (name, value)
    weights = adapter_weights(trials["new"]["result_dir"])
    assert min(np.abs(weights[name]).max() for name in weights if "lora_B" in name) > 1e-4
    for folder in (two.adapter_dir, *(trials[name]["result_dir"] for name in ("accumulated", "recomputed"))):
        found = adapter_weights(folder)
        assert found.keys() == weights.keys()
        assert max(np.abs(found[name] - weights[name]).max() for name in weights) < 1e-6, folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", REFERENCES)
def test_the_first_loss_is_log_2_however_far_the_given_model_is_from_its_base(
    trials: dict[str, Any], name: str
) -> None:
    assert trials[name]["loss_before"] == pytest.approx(math.log(2), abs=1e-6)
    assert trials[name]["log"][0]["loss"] == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", REFERENCES)
def test_after_training_the_loss_is_that_of_the_formula_with_what_was_saved(
    trials: dict[str, Any], tiny_model_dir: Path, given_dir: Path, name: str
) -> None:
    trial, plain = trials[name], load_plain(tiny_model_dir)
    result, pairs = Path(trial["result_dir"]), trial["fixed_pairs"]
    given = load_adapted(tiny_model_dir, given_dir)
    policy = load_plain(result) if name == "full" else load_adapted(tiny_model_dir, result)
    reference, beta = given if name == "given" else plain, 0.4 if name == "steep" else 0.1
    expected = dpo_loss(policy, reference, pairs, beta)
    assert expected < 0.65
    assert trial["loss_after"] == pytest.approx(expected, abs=1e-5)
    if name == "given":
        assert abs(dpo_loss(given, plain, pairs, beta) - math.log(2)) > 0.02


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_padding_changes_no_log_probability(trials: dict[str, Any], tiny_model_dir: Path) -> None:
    trial, plain = trials["new"], load_plain(tiny_model_dir)
    answers = ("chosen", "rejected")
    expected = [[answer_logp(plain, pair, answer) for pair in trial["fixed_pairs"]] for answer in answers]
    lone = [[pair[half][0] for pair in trial["lone_logps"]] for half in (0, 1)]
    assert np.allclose(trial["padded_logps"], expected, rtol=1e-6, atol=1e-4)
    assert np.allclose(lone, expected, rtol=1e-6, atol=1e-4)
    num_tokens = sum(len(pair[f"{answer}_ids"]) for pair in trial["fixed_pairs"] for answer in answers)
    assert trial["probed_loss"] == pytest.approx(-np.sum(expected) / num_tokens, abs=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", REFERENCES)
def test_the_reference_is_neither_trained_nor_saved(trials: dict[str, Any], name: str) -> None:
    trial = trials[name]
    assert trial["moved"] == [] and trial["reference_moved"] == []
    assert trial["trainable"] and trial["still_trainable"] == trial["trainable"]
    assert trial["has_reference_adapter"] == (name == "given")
    assert not any(f".{REFERENCE_ADAPTER}." in key for key in trial["trainable"])
    result = Path(trial["result_dir"])
    assert [path.name for path in result.iterdir() if path.is_dir()] == []
    if name != "full":
        trained = {key.replace(".default.", ".") for key in trial["trainable"]}
        assert adapter_weights(result).keys() == trained


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_loss_type_is_the_one_that_is_set(trials: dict[str, Any]) -> None:
    # (0 - 1 / (2 * 0.1))^2, whatever the lengths.
    assert trials["ipo"]["log"][0]["loss"] == pytest.approx(25.0, abs=1e-5)


def adapter_weights(folder: Path | str) -> dict[str, Any]:
    from safetensors.numpy import load_file

    return dict(load_file(Path(folder) / "adapter_model.safetensors"))


def config_of(flags: dict[str, Any]) -> OpenSlothConfig:
    return TrainingConfigBuilder().with_flags(flags).build()


def write_changed_adapter(model_dir: Path, folder: Path) -> Path:
    """An adapter that changes what the model says."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
    model = get_peft_model(load_plain(model_dir), config)
    for name, weight in model.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    return folder


def load_plain(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def load_adapted(model_dir: Path, adapter_dir: Path) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(load_plain(model_dir), str(adapter_dir)).eval()


@torch.no_grad()
def answer_logp(model: Any, pair: dict[str, list[int]], answer: str) -> float:
    """Log-probability of all tokens of an answer given the prompt, alone in a batch, in float64."""
    prompt, ids = pair["prompt_ids"], pair[f"{answer}_ids"]
    logits = model(torch.tensor([prompt + ids])).logits[0].double()
    logps = torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)
    return float(logps[torch.arange(len(ids)), torch.tensor(ids)].sum())


def dpo_loss(policy: Any, reference: Any, pairs: list[dict[str, list[int]]], beta: float) -> float:
    """Equation 7 of arXiv:2305.18290, averaged over the pairs."""
    losses = []
    for pair in pairs:
        gain = {
            a: answer_logp(policy, pair, a) - answer_logp(reference, pair, a) for a in ("chosen", "rejected")
        }
        losses.append(math.log1p(math.exp(-beta * (gain["chosen"] - gain["rejected"]))))
    return sum(losses) / len(losses)
