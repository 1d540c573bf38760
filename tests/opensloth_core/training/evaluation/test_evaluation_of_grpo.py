"""Rewards of greedy answers: of a stock model here, and in a whole run with fewer prompts than ranks."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opensloth_core import run_training
from opensloth_core.config.methods import GrpoArguments
from opensloth_core.runs.events import read_events
from opensloth_core.runs.statistics import training_speed
from opensloth_core.training.evaluation.answers import greedy_sampling
from opensloth_core.training.evaluation.grpo import RewardMeasure
from opensloth_core.training.grpo.generate import Sampling, generate_completions

PLACE = "def place(completions): return [float(number) for number in range(len(completions))]"


def test_a_reward_is_the_mean_over_the_prompts_it_applies_to(tiny_model_dir: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    settings = GrpoArguments.of({"reward": ["exact=2", "length=0.5"], "max_completion_length": 6})
    sampling = greedy_sampling(model, tokenizer)
    measure = RewardMeasure(SimpleNamespace(model=model), tokenizer, sampling, settings)
    prompts = [tokenizer.encode(text) for text in ("one", "two is longer", "three")]
    # What the model says to the first prompt is declared right, any other answer to the second wrong.
    (said,) = generate_completions(model, prompts[:1], measure._sampling).completion_ids
    assert len(said) == 6, "never finished: the reward of its length is 0"
    right = tokenizer.decode(said, skip_special_tokens=True)
    rows: list[dict[str, Any]] = [
        {"prompt_ids": prompt, "columns": json.dumps({"prompt": [], "answer": answer})}
        for prompt, answer in zip(prompts, [right, "no", None], strict=True)
    ]
    sums = measure.sums(rows)
    assert (sums["prompts"], sums["rewarded"]) == (3, 3)
    assert measure.metrics(sums) == {
        "reward": pytest.approx(2 / 3),
        "reward/exact": pytest.approx(1 / 2),
        "reward/length": 0.0,
    }


def test_prompts_that_no_reward_applies_to_are_in_no_mean() -> None:
    tokenizer = SimpleNamespace()
    settings = GrpoArguments.of({"reward": "exact"})
    measure = RewardMeasure(None, tokenizer, Sampling(1, 0.0, 1.0, (0,), 0), settings)
    sums = {"reward": 1.0, "prompts": 4.0, "rewarded": 2.0, "score exact": 1.0, "scored exact": 2.0}
    assert measure.metrics(sums) == {"reward": 0.5, "reward/exact": 0.5, "frac_no_reward": 0.5}
    nothing = dict.fromkeys(sums, 0.0) | {"prompts": 4.0}
    assert measure.metrics(nothing) == {"frac_no_reward": 1.0}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_with_fewer_held_out_prompts_than_ranks_is_evaluated(
    tiny_model_dir: Path, tmp_path: Path, home: Path, two_cores: None, warm_ranks: None
) -> None:
    (home / "rewards").mkdir(parents=True)
    (home / "rewards" / "made_up.py").write_text(PLACE)
    data = tmp_path / "sums.jsonl"
    rows = [{"question": f"{i} + {i}?", "answer": str(2 * i)} for i in range(9)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = run_training(
        {
            "data": str(data),
            "model": str(tiny_model_dir),
            "method": "grpo",
            "reward": ["exact", "made_up:place=0.5"],
            "num_generations": 2,
            "max_completion_length": 8,
            "max_seq_length": 64,
            "max_steps": 2,
            "dtype": "float32",
            "gpus": 2,
            "eval_size": 1,
            "eval_steps": 1,
            "eval_generations": 1,
        }
    )
    log = read_events(run.run_dir / "events.jsonl")
    found = [event for event in log if event["kind"] == "eval"]
    assert [(event["step"], event["num_units"], event["num_held_out"]) for event in found] == [
        (step, 1, 1) for step in (0, 1, 2)
    ]
    for event in found:
        metrics = event["metrics"]
        assert sorted(metrics) == ["reward", "reward/exact", "reward/made_up:place"]
        own = metrics["reward/exact"] + 0.5 * metrics["reward/made_up:place"]
        assert metrics["reward"] == pytest.approx(own)
    warnings = [event["text"] for event in log if event.get("level") == "warning"]
    assert [text[:40] for text in warnings] == ["the reward exact was the same for all co"]
    before, after = (event for event in log if event["kind"] == "generation")
    assert (before["moment"], after["moment"]) == ("before", "after")
    assert before["samples"][0]["reference"].isdigit()
    (result,) = (event for event in log if event["kind"] == "result")
    steps = [event for event in log if event["kind"] == "step"]
    # Each completion is in them, and each prompt as often as it was completed.
    assert all(event["tokens"] >= 2 * 2 * (1 + 1) for event in steps)
    assert all(0 < event["own_seconds"] < event["step_seconds"] for event in steps)
    for number in (1, 2):
        both = [event for event in steps if event["step"] == number]
        assert max(e["own_seconds"] for e in both) > both[0]["metrics"]["seconds/generate"]  # of the slowest
    speed, seconds = training_speed(log)
    assert result["seconds"] == seconds
    assert result["tokens_per_second"] == pytest.approx(speed, rel=0.3)  # a rank's last step may come later
