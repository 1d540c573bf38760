"""Whole runs with held-out rows: real ranks, dropout, and the numbers of the stock model beside."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file

from opensloth_core import run_training
from opensloth_core.api import TrainedModel
from opensloth_core.data.shard import EVAL_FILE
from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.store.prepared import prepared_dir
from tests.warm.ranks import use_warm_ranks

Runs = dict[str, TrainedModel]


@pytest.fixture(scope="module")
def runs(
    tiny_model_dir: Path, chat_data: Path, warm_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """One rank that evaluates, one that does not on the same training rows, and two ranks."""
    folder = tmp_path_factory.mktemp("evaluated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENSLOTH_HOME", str(folder / "home"))
        use_warm_ranks(warm_python, patch)
        base = {
            "data": str(chat_data),
            "model": str(tiny_model_dir),
            "max_seq_length": 192,
            "max_steps": 4,
            "global_batch_size": 4,
            "learning_rate": 0.05,
            "dtype": "float32",
            "lora_rank": 4,
            "lora_dropout": 0.1,
        }
        held_out = {"eval_size": 9, "eval_steps": 2, "eval_generations": 2}
        one = run_training({**base, **held_out, "gpus": 1, "batch_size": 2})
        left = folder / "trained_rows.jsonl"
        left.write_text("".join(rows_not_held_out(chat_data, one, tiny_model_dir)))
        yield {
            "one": one,
            "not evaluated": run_training(
                {**base, "data": str(left), "eval_generations": 0, "gpus": 1, "batch_size": 2}
            ),
            "two": run_training({**base, **held_out, "gpus": 2, "batch_size": 2}),
        }


def held_out_packs(run: TrainedModel) -> list[dict[str, Any]]:
    folder = prepared_dir(RunDirectory(run.run_dir).launch().prepared_key)
    rows: list[dict[str, Any]] = Dataset.from_file(str(folder / EVAL_FILE)).to_list()
    return rows


def rows_not_held_out(data: Path, run: TrainedModel, model_dir: Path) -> list[str]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    texts = [tokenizer.decode(pack["input_ids"]) for pack in held_out_packs(run)]
    held = {int(number) for text in texts for number in re.findall(r"flag (\d+)\?", text)}
    assert len(held) == 9
    lines = data.read_text().splitlines(keepends=True)
    return [line for number, line in enumerate(lines) if number not in held]


def events_of(run: TrainedModel, kind: str) -> list[dict[str, Any]]:
    return [event for event in read_events(run.run_dir / "events.jsonl") if event["kind"] == kind]


def metrics_by_step(run: TrainedModel) -> dict[int, dict[str, float]]:
    found = events_of(run, "eval")
    assert len({event["step"] for event in found}) == len(found)
    return {event["step"]: event["metrics"] for event in found}


def metrics_of_examples_alone(run: TrainedModel, model_dir: Path, adapter: bool) -> dict[str, float]:
    """Of the stock model, which sees one example at a time."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, run.adapter_dir)
    model.eval()
    total, correct, count = 0.0, 0, 0
    for pack in held_out_packs(run):
        ends = np.cumsum(pack["seq_lengths"])
        for start, end in zip(ends - pack["seq_lengths"], ends, strict=True):
            labels = torch.tensor(pack["labels"][start + 1 : end])
            trained = labels != IGNORE_INDEX
            with torch.no_grad():
                logits = model(torch.tensor([pack["input_ids"][start:end]])).logits[0, :-1][trained]
            total += torch.nn.functional.cross_entropy(logits, labels[trained], reduction="sum").item()
            correct += int((logits.argmax(-1) == labels[trained]).sum())
            count += int(trained.sum())
    return {"loss": total / count, "perplexity": math.exp(total / count), "token_accuracy": correct / count}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_metrics_are_those_of_each_example_alone_at_any_number_of_ranks(
    runs: Runs, tiny_model_dir: Path, two_cores: None
) -> None:
    assert max(len(pack["seq_lengths"]) for pack in held_out_packs(runs["one"])) > 1
    as_given = metrics_of_examples_alone(runs["one"], tiny_model_dir, adapter=False)
    for name in ("one", "two"):
        run = runs[name]
        found = metrics_by_step(run)
        assert sorted(found) == [0, 2, 4]
        assert found[0] == pytest.approx(as_given, rel=1e-5)
        assert found[4] == pytest.approx(metrics_of_examples_alone(run, tiny_model_dir, True), rel=1e-5)
        assert found[4]["loss"] < found[0]["loss"]
        num_units = len(held_out_packs(run))
        assert num_units % 2 == 1, "ranks have unequally many units"
        for event in events_of(run, "eval"):
            assert (event["num_units"], event["num_held_out"]) == (num_units, num_units)
            assert event["seconds"] > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_weights_are_the_same_bit_for_bit_with_and_without_evaluation(runs: Runs) -> None:
    with_it, without = runs["one"], runs["not evaluated"]
    assert [event["loss"] for event in events_of(with_it, "step")] == [
        event["loss"] for event in events_of(without, "step")
    ]
    weights = [load_file(run.adapter_dir / "adapter_model.safetensors") for run in (with_it, without)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_result_is_saved_before_the_last_evaluation_and_answers(runs: Runs) -> None:
    kinds = [
        event.get("state") or event.get("moment") or event.get("name") or event["kind"]
        for event in read_events(runs["one"].run_dir / "events.jsonl")
        if event["kind"] in ("state", "mark", "step", "eval", "generation", "result")
    ]
    assert kinds[kinds.index("ready") :] == [
        *("ready", "training", "before", "eval", "step", "step", "eval", "step", "step", "trained"),
        *("saving", "result", "saved", "evaluating", "eval", "after", "completed"),
    ]
    plain = runs["not evaluated"]
    assert not events_of(plain, "eval") and not events_of(plain, "generation")
    assert "evaluating" not in [event["state"] for event in events_of(plain, "state")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_held_out_prompts_are_answered_before_and_after(runs: Runs) -> None:
    before, after = events_of(runs["one"], "generation")
    assert (before["moment"], after["moment"]) == ("before", "after")
    for event in (before, after):
        assert len(event["samples"]) == 2
        for sample in event["samples"]:
            prompt = (
                r"<\|im_start\|>user\nWhich colours has flag \d+\?<\|im_end\|>\n<\|im_start\|>assistant\n"
            )
            assert re.fullmatch(prompt, sample["prompt"])
            assert re.fullmatch(r"It has [a-z ]+\.", sample["reference"])
    assert [s["prompt"] for s in before["samples"]] == [s["prompt"] for s in after["samples"]]
    assert [s["completion"] for s in before["samples"]] != [s["completion"] for s in after["samples"]]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_evaluation_is_no_part_of_the_step_that_follows(runs: Runs) -> None:
    log = read_events(runs["one"].run_dir / "events.jsonl")
    first_eval = next(event for event in log if event["kind"] == "eval")
    first_step = next(event for event in log if event["kind"] == "step")
    assert first_step["step_seconds"] <= first_step["time"] - first_eval["time"]
