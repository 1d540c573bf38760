"""What is wrong is said all at once; what depends on something that is wrong is left out."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.checks.architecture import check_architecture
from opensloth_core.checks.problems import SeveralProblems
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, DataError, ModelError
from opensloth_core.preflight import examine, refuse_impossible, refuse_unpreparable

Refused = Callable[..., str]


def test_data_missing_devices_wrong_and_output_taken_are_said_gc_paused(
    values: dict[str, Any], tmp_path: Path, home: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").touch()
    wrong = {
        "data": "nope.jsonl",
        "gpus": 10_000,
        "output": str(tmp_path / "out"),
        "finetuning_type": "qlora",
    }
    with pytest.raises(SeveralProblems) as caught:
        refuse_impossible(OpenSlothConfig.of(values | wrong))
    first, *lines = str(caught.value).splitlines()
    assert first == "4 problems"
    assert [line.partition(":")[0] for line in lines] == [
        "- nope.jsonl",
        "- gpus 10000",
        "- finetuning_type qlora",
        f"- output {tmp_path / 'out'}",
    ]
    assert caught.value.exit_code == 2
    assert [type(problem) for problem in caught.value.problems] == [DataError, *[ConfigError] * 3]
    assert not home.exists()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), len(again.problems)) == (str(caught.value), 4)


def test_every_setting_that_cannot_take_effect_is_said(values: dict[str, Any], home: Path) -> None:
    wrong = {
        "method": "dpo",
        "finetuning_type": "qlora",
        "training": {"optimizer": "adamw_8bit", "eval_steps": 3},
        "lora": {"lora_dropout": 0.1},
        "dpo": {"label_smoothing": 0.1},
    }
    problems = [str(one).split()[0] for one in examine(OpenSlothConfig.of(values | wrong)).problems]
    said = ["finetuning_type", "optimizer", "eval_steps", "lora_dropout", "label_smoothing"]
    assert [problem for problem in problems if problem in said] == said


def test_rewards_are_looked_for_even_where_there_is_no_data(values: dict[str, Any]) -> None:
    wrong = {"method": "grpo", "grpo": {"reward": ["maths"]}, "data": "nope.jsonl"}
    problems = [str(one) for one in examine(OpenSlothConfig.of(values | wrong)).problems]
    assert problems[0] == "nope.jsonl: no such file"
    assert "maths" in problems[1]
    assert len(problems) == 2


def test_a_preparation_says_all_too(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = OpenSlothConfig.of(
        {**values, "data": "nope", "model": "/no", "data_output": str(tmp_path / "file")}
    )
    with pytest.raises(SeveralProblems, match=r"^3 problems\n") as caught:
        refuse_unpreparable(config.preparation)
    assert [type(problem) for problem in caught.value.problems] == [DataError, ConfigError, ModelError]


def test_a_model_that_only_reads_text(refused: Refused, model_dir: Path) -> None:
    (model_dir / "config.json").write_text('{"model_type": "bart", "architectures": ["X"]}')
    (model_dir / "config.json").write_text(
        '{"model_type": "deberta", "architectures": ["DebertaForMaskedLM"]}'
    )
    assert refused(ModelError) == (
        f"{model_dir}: transformers has no language model of the architecture deberta (DebertaForMaskedLM); "
        "take a causal language model, or install a transformers that knows it"
    )


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "bert (BertForMaskedLM)"),
        ({"model_type": "roberta"}, "roberta"),
        (
            {"model_type": "bart", "architectures": ["BartForConditionalGeneration"]},
            "bart (BartForConditionalGeneration)",
        ),
        (
            {"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]},
            "llama (LlamaForSequenceClassification)",
        ),
    ],
)
def test_a_model_that_does_not_continue_text(
    refused: Refused, model_dir: Path, config: dict[str, Any], shown: str
) -> None:
    """Of some of these transformers could make a decoder, and a run would fail long after."""
    (model_dir / "config.json").write_text(json.dumps(config))
    assert refused(ModelError) == (
        f"{model_dir}: its architecture {shown} does not continue text; take a causal language model"
    )


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "bert", "is_decoder": True, "architectures": ["BertLMHeadModel"]},
        {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]},
        {"model_type": "llama", "architectures": ["LLaMAForCausalLM"]},
        {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
    ],
)
def test_a_model_that_continues_text_passes(model_dir: Path, config: dict[str, Any]) -> None:
    (model_dir / "config.json").write_text(json.dumps(config))
    check_architecture(model_dir, trust_remote_code=False)


def test_a_model_whose_weights_are_missing_or_cut_off(refused: Refused, model_dir: Path) -> None:
    weights = model_dir / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert refused(ModelError).startswith(f"{weights}: not a whole safetensors file (")
    weights.unlink()
    assert refused(ModelError) == f"{model_dir}: holds no weights (no *.safetensors); copy the model again"
    index = model_dir / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "model-00002-of-00002.safetensors"}}')
    assert refused(ModelError) == f"{model_dir}/model-00002-of-00002.safetensors: no such file"


def test_a_model_without_a_tokenizer(refused: Refused, model_dir: Path) -> None:
    (model_dir / "tokenizer.json").unlink()
    assert refused(ModelError).startswith(f"{model_dir}: no tokenizer can be loaded from this folder")


def test_a_tokenizer_that_is_damaged(refused: Refused, model_dir: Path) -> None:
    (model_dir / "tokenizer.json").write_text("garbage")
    told = refused(ModelError)
    assert told.startswith(
        f"{model_dir}: no tokenizer can be loaded from this folder: tokenizer.json: expected value at line 1"
    )
    assert told.endswith("give a folder with the model's tokenizer.json and tokenizer_config.json")


@pytest.mark.parametrize("place", ["chat_template.jinja", "tokenizer_config.json"])
def test_a_template_that_is_no_jinja_matters_to_conversations(
    place: str, refused: Refused, model_dir: Path, data: Path, values: dict[str, Any]
) -> None:
    source = "{% for message in messages %}"
    in_config = json.dumps({"chat_template": [{"name": "default", "template": source}]})
    (model_dir / place).write_text(source if place.endswith("jinja") else in_config)
    told = refused(ModelError)
    assert told.startswith(f"{model_dir}: its chat template is broken: Unexpected end of template.")
    with pytest.raises(ModelError, match="its chat template is broken"):
        refuse_unpreparable(OpenSlothConfig.of(values).preparation)
    data.write_text('{"text": "no conversation"}\n')
    refuse_impossible(OpenSlothConfig.of(values))
