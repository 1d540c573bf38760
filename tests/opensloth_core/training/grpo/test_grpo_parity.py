"""GRPO on fixed completions: the same curve on any layout, and that of the formula worked out apart.

Real ranks: processes over gloo with Unsloth and TRL, a tiny Llama, completions of uneven length.
"""

import copy
import json
import os
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from opensloth_core import run_prepare_data
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.launch.rank import rank_environment
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.events import read_events
from tests.opensloth_core.training.grpo.fixed_ranks import END, MAX_COMPLETION, fixed_completion
from tests.warm.ranks import use_warm_ranks

NUM_GENERATIONS, LEARNING_RATE, TEMPERATURE, KL_BETA = 4, 0.5, 0.7, 0.5
SETTINGS = {
    "method": "grpo",
    "max_seq_length": 128,
    "max_steps": 3,
    "global_batch_size": 16,
    "num_generations": NUM_GENERATIONS,
    "max_completion_length": MAX_COMPLETION,
    "temperature": TEMPERATURE,
    "learning_rate": LEARNING_RATE,
    "lr_scheduler": "constant",
    "warmup_ratio": 0,
    "weight_decay": 0,
    "max_grad_norm": 1000,
    "optimizer": "sgd",
    "dtype": "float32",
    "lora_rank": 4,
    "target_modules": "q_proj,v_proj,down_proj",
    "constant_reward_steps": 2,
    "reward": "made_up:score",
}
LAYOUTS = {
    "1 rank": {"gpus": 1, "batch_size": 16},
    "1 rank, accumulation 2": {"gpus": 1, "batch_size": 8},
    "1 rank, accumulation 8, groups torn apart": {"gpus": 1, "batch_size": 2},
    "2 ranks": {"gpus": 2, "batch_size": 8},
    "2 ranks, accumulation 2": {"gpus": 2, "batch_size": 4},
}
GPU_TRAINER = "1 rank, the trainer that Unsloth has on GPUs"
REWARDS = '''
import os


def score(completions):
    """Something that differs between completions; 0 for all of a question about stones, none of birds."""
    return [
        None if "birds" in prompt[-1]["content"]
        else 0.0 if "stones" in prompt[-1]["content"]
        else sum(map(ord, text)) % 7 / 7
        for text, prompt in zip(completions.texts, completions.prompts)
    ]


def constant(completions):
    return [0.25] * len(completions)


def second_rank_fails(completions):
    if os.environ["RANK"] == "1":
        raise ZeroDivisionError("no such luck")
    return [float(n) for n in completions.num_tokens]
'''


@pytest.fixture(scope="module")
def results(
    tiny_model_dir: Path, warm_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, float, int], dict[str, Any]]]:
    """What each run came to: by (layout or reward, kl_beta, rank)."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPU cores")
    folder = tmp_path_factory.mktemp("grpo")
    home, data = folder / "home", folder / "stones.jsonl"
    (home / "rewards").mkdir(parents=True)
    (home / "rewards" / "made_up.py").write_text(REWARDS)
    things = ["stones", "a long row of trees", "birds", "rivers in the far north"] * 3
    rows = [{"prompt": f"{i}: what about {thing}?", "reference": i} for i, thing in enumerate(things)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = {"data": str(data), "model": str(tiny_model_dir), **SETTINGS}
    cases: dict[tuple[str, float], dict[str, Any]] = {
        (name, kl_beta): {**base, **layout, "kl_beta": kl_beta}
        for name, layout in LAYOUTS.items()
        for kl_beta in (0.0, KL_BETA)
    }
    cases[GPU_TRAINER, KL_BETA] = {**base, **LAYOUTS["1 rank, accumulation 2"], "kl_beta": KL_BETA}
    for reward in ("made_up:constant", "made_up:second_rank_fails"):
        cases[reward, 0.0] = {**base, **LAYOUTS["2 ranks"], "reward": reward}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("OPENSLOTH_HOME", str(home))
        use_warm_ranks(warm_python, monkeypatch)
        runs = {key: run_directory(settings, tiny_model_dir) for key, settings in cases.items()}
        with_gpu_trainer = runs[GPU_TRAINER, KL_BETA]
        others = [run for run in runs.values() if run is not with_gpu_trainer]
        alone, paired = ([r for r in others if r.launch().world_size == size] for size in (1, 2))
        processes = [
            start_rank(warm_python, "trl", folder, alone, 0),
            start_rank(warm_python, "trl", folder, paired, 0),
            start_rank(warm_python, "trl", folder, paired, 1),
            start_rank(warm_python, "unsloth", folder, [with_gpu_trainer], 0),
        ]
        try:
            for process in processes:
                output, _ = process.communicate(timeout=550)
                assert process.returncode == 0, output[-4000:]
        finally:
            for process in processes:
                process.kill()
        yield {
            (*key, rank): {
                **torch.load(folder / f"{run.path.name}-rank-{rank}.pt"),
                "steps": [
                    e for e in read_events(run.events_path) if e["kind"] == "step" and e["rank"] == rank
                ],
                "warnings": [e["text"] for e in read_events(run.events_path) if e.get("level") == "warning"],
            }
            for key, run in runs.items()
            for rank in range(run.launch().world_size)
        }


def run_directory(settings: dict[str, Any], model_dir: Path) -> RunDirectory:
    config = TrainingConfigBuilder().with_flags(settings).build()
    prepared = run_prepare_data(config.preparation)
    run = RunDirectory.create(config)
    run.write_launch(Launch(str(model_dir), ("cpu",) * config.gpus, prepared.manifest.key))  # type: ignore[operator]
    return run


def start_rank(
    python: Path, trainer: str, folder: Path, runs: list[RunDirectory], rank: int
) -> subprocess.Popen[str]:
    module = "tests.opensloth_core.training.grpo.fixed_ranks"
    return subprocess.Popen(
        [python, "-m", module, trainer, str(folder), *(str(run.path) for run in runs)],
        env={**os.environ, **rank_environment(runs[0].launch(), rank)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

Results = dict[tuple[str, float, int], dict[str, Any]]


@pytest.mark.parametrize("kl_beta", [0.0, KL_BETA])
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "1 rank"])
def test_ranks_and_accumulation_change_nothing(results: Results, layout: str, kl_beta: float) -> None:
    expected, found = results["1 rank", kl_beta, 0], results[layout, kl_beta, 0]
    assert len(found["steps"]) == 3
    for step, same in zip(found["steps"], expected["steps"], strict=True):
        assert step["loss"] == pytest.approx(same["loss"], abs=1e-5)
        assert step["grad_norm"] == pytest.approx(same["grad_norm"], abs=1e-5)
        assert step["trained_tokens"] == same["trained_tokens"]
        for name, value in same["metrics"].items():
            if not name.startswith("seconds/"):
                assert step["metrics"][name] == pytest.approx(value, abs=1e-5), name
    for name, weight in expected["final"].items():
        assert not torch.equal(weight, expected["initial"][name]), name
        assert torch.allclose(found["final"][name], weight, atol=1e-5), name


@pytest.mark.parametrize(
    ("layout", "kl_beta"), [("1 rank", 0.0), ("1 rank", KL_BETA), (GPU_TRAINER, KL_BETA)]
)
def test_every_step_is_that_of_the_formula(
    results: Results, tiny_model_dir: Path, layout: str, kl_beta: float
) -> None:
    found = results[layout, kl_beta, 0]
    assert ("UnslothGRPOTrainer" in found["classes"]) == (layout == GPU_TRAINER)
    model, expected = by_formula(found, tiny_model_dir, kl_beta)
    for step, same in zip(found["steps"], expected, strict=True):
        assert step["loss"] == pytest.approx(same["loss"], abs=1e-5)
        assert step["grad_norm"] == pytest.approx(same["grad_norm"], abs=1e-5)
        if kl_beta:
            assert step["metrics"]["kl"] == pytest.approx(same["kl"], abs=1e-5)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            assert torch.allclose(found["final"][name], weight, atol=1e-5), name


def test_kl_starts_at_0_also_from_an_adapter_that_was_trained_before(results: Results) -> None:
    first, *later = results["2 ranks", KL_BETA, 0]["steps"]
    assert first["metrics"]["kl"] == pytest.approx(0, abs=1e-6)
    assert all(step["metrics"]["kl"] > 1e-4 for step in later)
    assert "kl" not in results["2 ranks", 0.0, 0]["steps"][0]["metrics"]


def test_every_prompt_has_its_turn_and_groups_of_equals_teach_nothing(results: Results) -> None:
    found = results["1 rank", 0.0, 0]
    assert len({tuple(prompt) for step in found["prompts"] for prompt in step}) == 12
    shares = [step["metrics"]["frac_reward_zero_std"] for step in found["steps"]]
    # Of the 12 prompts 3 ask for stones and 3 for birds; 4 prompts a step.
    assert sum(shares) == pytest.approx(6 / 4)
    assert sum(step["metrics"]["frac_no_reward"] for step in found["steps"]) == pytest.approx(3 / 4)


def test_a_run_says_once_which_prompts_cannot_be_scored(results: Results) -> None:
    (warning,) = results["2 ranks", 0.0, 0]["warnings"]
    assert re.match(r"\d of this step's prompts cannot be scored by every reward; completions that", warning)
    assert re.search(r"what about birds\?': made_up:score found nothing to compare with$", warning)


def test_ranks_sample_by_seeds_of_their_own(results: Results) -> None:
    assert results["2 ranks", 0.0, 1]["seed"] == results["2 ranks", 0.0, 0]["seed"] + 1


def test_between_steps_a_trainer_holds_nothing_that_a_resumed_one_lacks(results: Results) -> None:
    found = results["2 ranks, accumulation 2", 0.0, 0]
    assert found["num_waiting"] == 0
    assert json.loads(json.dumps(found["extra_state"]))["reward_watch"]["is_over"] is True


def test_a_reward_that_fails_on_one_rank_stops_both_with_one_line(results: Results) -> None:
    errors = {results["made_up:second_rank_fails", 0.0, rank]["error"] for rank in (0, 1)}
    (error,) = errors
    assert error.startswith(
        "TrainingError: reward made_up:second_rank_fails: ZeroDivisionError: no such luck"
    )


def test_a_constant_reward_stops_all_ranks_after_the_same_step(results: Results) -> None:
    for rank in (0, 1):
        found = results["made_up:constant", 0.0, rank]
        assert "0.25 for every completion of the first 2 steps" in found["error"]
        assert len(found["steps"]) == 1


def by_formula(found: dict[str, Any], model_dir: Path, kl_beta: float) -> tuple[Any, list[dict[str, float]]]:
    """A run with stock transformers and PEFT, one completion at a time, unpadded.

    arXiv:2402.03300 eq. 3 with its clipping and eq. 4, averaged over tokens (arXiv:2503.14476 eq. 8).
    """
    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    targets = ["q_proj", "v_proj", "down_proj"]
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=32, target_modules=targets))
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained.keys() == found["initial"].keys()
    with torch.no_grad():
        for name, weight in trained.items():
            weight.copy_(found["initial"][name])
    reference = copy.deepcopy(model)
    optimizer = torch.optim.SGD(trained.values(), lr=LEARNING_RATE)
    steps = []
    for prompts in found["prompts"]:
        parts, kls, num_tokens = [], [], 0
        for prompt in prompts:
            group = [fixed_completion(prompt, number) for number in range(NUM_GENERATIONS)]
            texts = tokenizer.batch_decode(group, skip_special_tokens=True)
            asked = tokenizer.decode(prompt)
            if "birds" in asked:
                continue
            rewards = [0.0 if "stones" in asked else sum(map(ord, text)) % 7 / 7 for text in texts]
            mean, std = statistics.mean(rewards), statistics.stdev(rewards)
            for completion, reward in zip(group, rewards, strict=True):
                assert END not in completion[:-1]
                advantage = (reward - mean) / (std + 1e-4)
                policy = log_probs(model, prompt, completion)
                with torch.no_grad():
                    given = log_probs(reference, prompt, completion)
                ratio = torch.exp(policy - policy.detach())
                gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
                kl = torch.exp(given - policy) - (given - policy) - 1
                parts.append((gain - kl_beta * ratio * kl).sum())
                kls.append(kl.sum().item())
                num_tokens += len(completion)
        loss = -sum(parts) / num_tokens
        optimizer.zero_grad()
        loss.backward()
        norms = torch.stack([weight.grad.norm() for weight in trained.values()])
        optimizer.step()
        steps.append({"loss": loss.item(), "grad_norm": norms.norm().item(), "kl": sum(kls) / num_tokens})
    return model, steps


def log_probs(model: Any, prompt: list[int], completion: list[int]) -> torch.Tensor:
    """Of a completion's tokens at the sampling temperature."""
    logits = model(torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1] / TEMPERATURE
    return logits.log_softmax(dim=-1)[range(len(completion)), completion]
