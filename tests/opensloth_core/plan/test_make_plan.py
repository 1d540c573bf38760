"""The plan of a run: what it estimates is what preparing finds, and it does nothing."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.api import run_prepare_data
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.models.tokenizer import copy_tokenizer
from opensloth_core.plan.data_facts import RowCount
from opensloth_core.plan.plan import Plan, make_plan
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.training.plan import training_plan
from tests.conftest import CHATML
from tests.opensloth_core.preflight.conftest import NO_TENSORS

PlanOf = Callable[..., Plan]

HEAVY = """
import json, sys
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.plan.plan import make_plan
plan = make_plan(OpenSlothConfig.of(json.loads(sys.argv[1])))
heavy = sorted({"torch", "transformers", "prefect"} & set(sys.modules))
print(json.dumps([plan.would_run, plan.num_steps, heavy]))
"""


@pytest.fixture
def values(chat_data: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return {"data": str(chat_data), "model": str(tiny_model_dir), "gpus": 1, "max_seq_length": 192}


@pytest.fixture
def plan_of(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, remembering_load_setup: Callable[..., Any]
) -> PlanOf:
    """Makes plans, which read the tokenizer of equal model folders once for all tests."""
    monkeypatch.setattr("opensloth_core.plan.data_facts.load_setup", remembering_load_setup)
    return lambda **changes: make_plan(OpenSlothConfig.of(values | changes))


def test_the_estimate_of_a_small_input_is_what_preparing_it_finds(
    plan_of: PlanOf, values: dict[str, Any], home: Path
) -> None:
    """And it writes nothing; once the data is there, rows and tokens are counted."""
    before = plan_of()
    assert not home.exists()
    assert before.would_run and before.data is not None and before.facts is not None
    assert before.data.found is None and before.facts.is_exact is False

    prepared = run_prepare_data(values)
    after = plan_of()
    assert after.data is not None and after.data.found is not None and after.facts is not None
    assert after.data.key == before.data.key
    assert after.facts.is_exact
    told = ("rows", "rows_trained", "tokens", "units")
    assert [getattr(before.facts, name) for name in told] == [getattr(after.facts, name) for name in told]
    assert after.disk is not None and after.disk.prepared == 0

    given = plan_of(prepared=after.data.key.digest)
    assert given.would_run and given.data is None and given.given is not None
    assert given.given.folder == prepared.folder
    assert given.disk is not None and given.disk.prepared == 0
    assert (given.facts, given.num_steps) == (after.facts, after.num_steps)


def test_steps_are_those_of_the_training_plan(plan_of: PlanOf, home: Path) -> None:
    import numpy as np

    for training in ({"epochs": 2.5, "batch_size": 4}, {"max_steps": 7}, {"global_batch_size": 6}):
        plan = plan_of(training=training)
        assert plan.fit is not None and plan.facts is not None
        units = np.full(plan.facts.units, 192)
        epochs, max_steps = float(training.get("epochs", 1)), training.get("max_steps")
        real = training_plan(units, units, plan.fit.batch, epochs, max_steps, seed=0)  # type: ignore[arg-type]
        assert plan.num_steps == real.num_steps


def test_half_of_a_sample_is_half_of_the_tokens(plan_of: PlanOf, home: Path) -> None:
    whole, half = plan_of().facts, plan_of(samples=20).facts
    assert whole is not None and half is not None
    assert (half.rows, half.rows_trained) == (40, 20)
    assert half.tokens == pytest.approx(whole.tokens / 2, abs=1)


def test_all_that_can_be_told_is_told_beside_what_is_wrong(
    plan_of: PlanOf, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    plan = plan_of(output=str(tmp_path / "taken"), finetuning_type="qlora")
    assert [str(problem).partition(":")[0] for problem in plan.problems] == [
        "finetuning_type qlora",
        f"output {tmp_path / 'taken'}",
    ]
    assert plan.facts is not None and plan.fit is not None and plan.fit.memory is not None


def test_rows_that_cannot_be_used_are_told_with_the_reason(
    plan_of: PlanOf, home: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_model_dir, tmp_path / "model")
    (model / "chat_template.jinja").write_text("{{ raise_exception('no way') }}")
    assert [str(problem) for problem in plan_of(model=str(model)).problems] == [
        "colours: none of 40 rows can be used: colours.jsonl:1, colours.jsonl:2, colours.jsonl:3: "
        "the chat template refuses the conversation (no way)"
    ]
    (problem,) = plan_of(max_seq_length=8).problems
    assert str(problem).startswith("colours: none of 40 rows can be used (raise --max-seq-length): colours")


def test_an_eval_size_that_leaves_nothing_to_train_on_is_a_problem(plan_of: PlanOf, home: Path) -> None:
    assert [str(problem) for problem in plan_of(eval_size=40).problems] == [
        "eval_size 40: of 40 usable rows with 40 different prompts it would hold out 40; give a size that "
        "leaves rows on both sides"
    ]
    assert plan_of(eval_size=39).would_run


def test_a_home_that_cannot_be_one_is_a_problem_of_the_plan(
    plan_of: PlanOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for home, place, why in (
        (tmp_path / "file", tmp_path / "file", "Not a directory"),
        (Path("/proc/home"), Path("/proc"), "No such file or directory"),
    ):
        monkeypatch.setenv("OPENSLOTH_HOME", str(home))
        assert str(plan_of(output=str(tmp_path / "out")).problems[0]) == (
            f"OPENSLOTH_HOME {home}: cannot write to {place}: {why}; set it to a folder you can write"
        )


def test_a_model_that_is_missing_leaves_the_data_unknown(plan_of: PlanOf, home: Path) -> None:
    plan = plan_of(model="/no/model")
    assert [str(problem) for problem in plan.problems] == ["model /no/model: no such model folder"]
    assert plan.data is None and plan.num_steps is None
    assert plan.rows == RowCount(40, 40)


def test_an_embedded_model_that_is_not_built_is_planned_with_its_tokenizer(
    plan_of: PlanOf, home: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the tiny model's: reading it from the package takes a dozen seconds."""

    def write(folder: Path) -> None:
        shutil.copyfile(tiny_model_dir / "config.json", folder / "config.json")
        copy_tokenizer(tiny_model_dir, folder)

    monkeypatch.setattr("opensloth_core.plan.described_model.write_embedded_tokenizer", write)
    plan, known = plan_of(model="embedded"), plan_of()
    assert plan.would_run and plan.facts == known.facts and plan.num_steps == known.num_steps
    assert plan.fit is not None and known.fit is not None and plan.fit.memory == known.fit.memory
    assert plan.config.model == "embedded" and len(plan.fetches) == 1
    assert not home.exists()


def test_a_hub_model_whose_tokenizer_cannot_be_had_leaves_it_open(
    plan_of: PlanOf, home: Path, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("opensloth_core.models.locate.is_hub_known", lambda: False)
    commit, repo = "0123456789abcdef0123456789abcdef01234567", tmp_path / "models--org--name"
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    shutil.copyfile(tiny_model_dir / "config.json", snapshot / "config.json")
    plan = plan_of(model="org/name")
    assert plan.would_run is None and plan.problems == () and plan.rows == RowCount(40, 40)
    assert plan.fit is not None and plan.fit.memory is not None
    copy_tokenizer(tiny_model_dir, snapshot)
    assert plan_of(model="org/name").would_run is True


def test_an_adapter_with_a_tokenizer_of_its_own_is_planned_with_it(
    plan_of: PlanOf, home: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    (adapter / "adapter_model.safetensors").write_bytes(NO_TENSORS)
    copy_tokenizer(tiny_model_dir, adapter)
    (adapter / "chat_template.jinja").write_text(CHATML + "{# own #}")
    plan = plan_of(pretrained_lora=str(adapter))
    assert plan.problems == () and plan.would_run and plan.data is not None
    assert plan.data.key != plan_of().data.key
    assert not home.exists()


def test_the_time_is_that_of_the_newest_run_of_the_same_kind(plan_of: PlanOf, home: Path) -> None:
    config = plan_of().config
    for model, seconds in ((config.model, 20.0), ("other", 1.0)):
        run = RunDirectory.create(config.model_copy(update={"model": model}))
        run.write_launch(Launch("m", ("cpu",), "k"))
        run.events.write("result", steps=10, seconds=seconds, final_loss=1.0, tokens_per_second=50.0)
    plan = plan_of(training={"max_steps": 4, "batch_size": 1})
    assert plan.time is not None and plan.facts is not None
    # Four packs at 50 tokens a second.
    assert plan.time.seconds == pytest.approx(4 * plan.facts.tokens / plan.facts.units / 50)
    assert plan.time.run.startswith("sft-tiny_llama-")
    assert plan_of(gpus=2).time is None
    assert plan_of(max_seq_length=256).time is None


def test_a_plan_imports_neither_torch_nor_prefect(values: dict[str, Any], home: Path) -> None:
    words = [sys.executable, "-c", HEAVY, json.dumps(values)]
    told = subprocess.run(words, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    would_run, num_steps, heavy = json.loads(told.stdout)
    assert would_run and num_steps > 0
    assert heavy == []
