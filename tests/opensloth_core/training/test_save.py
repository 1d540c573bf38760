"""What a run leaves: loadable by PEFT and transformers alone, whole or not there."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import StoreError
from opensloth_core.models.start import find_start
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.training.job import RankJob
from opensloth_core.training.result_model import cast_weights, mended_config, stop_at_turn_end, turn_end_id
from opensloth_core.training.save import save_result


def job_of(launch: Launch, **settings: Any) -> RankJob:
    """A job that has come to its end; what saving does not ask for is missing."""
    config = OpenSlothConfig.of(
        {"data": "d.jsonl", "model": launch.base_model or launch.model_dir, **settings}
    )
    run = RunDirectory.create(config)
    run.write_launch(launch)
    manifest: Any = None
    return RankJob(run, config, 0, 1, "cpu", manifest, config.batch_plan(1))


@pytest.fixture
def launch(tiny_model_dir: Path, home: Path) -> Launch:
    """A run that starts from the tiny model."""
    return Launch(str(tiny_model_dir), ("cpu",), "key", base_model=str(tiny_model_dir))


@pytest.fixture
def adapted(tiny_model_dir: Path) -> Any:
    """The tiny model with an adapter in training."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["q_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model_dir), config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                weight.fill_(0.25)
    return model


def test_an_adapter_loads_with_peft_alone_and_says_the_same(adapted: Any, launch: Launch) -> None:
    from peft import PeftModel

    folder = save_result(adapted, job_of(launch))
    base = AutoModelForCausalLM.from_pretrained(
        json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    )
    loaded = PeftModel.from_pretrained(base, folder)
    input_ids = torch.tensor([[1, 20, 30, 40, 2]])
    with torch.no_grad():
        assert torch.equal(loaded(input_ids).logits, adapted.eval()(input_ids).logits)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_max_length > 10**9  # not the limit of the run
    assert {path.stat().st_mode & 0o444 for path in folder.iterdir()} == {0o444}


@pytest.mark.parametrize(
    ("base_model", "named", "noted"),
    [
        ("embedded", "{folder}", "embedded"),
        ("org/name", "org/name", "org/name"),
        ("{folder}", "{folder}", "{folder}"),
    ],
)
def test_an_adapter_s_base_is_named_so_that_it_is_found_again(
    base_model: str, named: str, noted: str, adapted: Any, launch: Launch
) -> None:
    launch = replace(launch, base_model=base_model.format(folder=launch.model_dir))
    folder = save_result(adapted, job_of(launch))
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == named.format(folder=launch.model_dir)
    assert config["target_modules"] == ["o_proj", "q_proj", "v_proj"]
    assert find_start(str(folder)).model == noted.format(folder=launch.model_dir)
    if base_model == "org/name":
        assert launch.model_dir not in (folder / "README.md").read_text()


def test_a_reference_policy_is_not_saved(adapted: Any, launch: Launch) -> None:
    adapted.add_adapter("ref", adapted.peft_config["default"])
    folder = save_result(adapted, job_of(launch))
    assert not [path for path in folder.rglob("*") if "ref" in path.name]


def test_what_an_interrupted_attempt_left_is_replaced(adapted: Any, launch: Launch) -> None:
    job = job_of(launch)
    for name in ("adapter", "adapter.partial"):
        (job.run.path / name).mkdir()
        (job.run.path / name / "left-over").write_text("x")
    folder = save_result(adapted, job)
    assert (folder / "adapter_model.safetensors").is_file()
    assert [path.name for path in job.run.path.iterdir() if "adapter" in path.name] == ["adapter"]
    assert not (folder / "left-over").exists()


def test_a_full_disk_leaves_no_result_and_says_so(
    adapted: Any, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    job = job_of(launch)
    monkeypatch.setattr(adapted, "save_pretrained", no_room)
    with pytest.raises(StoreError) as caught:
        save_result(adapted, job)
    assert str(caught.value) == (
        f"{job.run.adapter_dir}: cannot save the result: No space left on device; make room and resume the "
        "run, which goes on from its last checkpoint"
    )
    assert not [path for path in job.run.path.iterdir() if "adapter" in path.name]


@pytest.fixture
def tied_model_dir(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """The tiny model in bfloat16, its output head tied to its embedding."""
    folder = tmp_path / "tied"
    shutil.copytree(tiny_model_dir, folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.bfloat16)
    model.config.tie_word_embeddings = True
    model.tie_weights()
    model.save_pretrained(folder)
    return folder


def test_a_whole_model_comes_back_in_its_own_format_and_tied(tied_model_dir: Path, home: Path) -> None:
    trained = AutoModelForCausalLM.from_pretrained(tied_model_dir, dtype=torch.float32)
    trained.config.use_cache = False  # as gradient checkpointing sets it
    with torch.no_grad():
        trained.model.norm.weight.add_(0.5)
    launch = Launch(str(tied_model_dir), ("cpu",), "key", base_model=str(tied_model_dir))
    folder = save_result(trained, job_of(launch, finetuning_type="full"))
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert {weight.dtype for weight in loaded.parameters()} == {torch.bfloat16}
    assert loaded.lm_head.weight.data_ptr() == loaded.model.embed_tokens.weight.data_ptr()
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    assert loaded.config.use_cache is True
    assert torch.equal(loaded.model.norm.weight, trained.model.norm.weight.bfloat16())
    assert not (folder / "adapter_config.json").exists()
    assert AutoTokenizer.from_pretrained(folder).chat_template
    kept = save_result(trained, job_of(launch, finetuning_type="full", dtype="float32"))
    assert torch.equal(
        AutoModelForCausalLM.from_pretrained(kept, dtype="auto").model.norm.weight, trained.model.norm.weight
    )


def test_an_index_of_shards_counts_the_bytes_of_the_new_format(tmp_path: Path) -> None:
    for number in (1, 2):
        save_file(
            {f"w{number}": torch.ones(6), f"ids{number}": torch.arange(3)},
            tmp_path / f"m-{number}.safetensors",
        )
    index = {"metadata": {"total_size": 96}, "weight_map": {"w1": "m-1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    cast_weights(tmp_path, "bfloat16")
    tensors = load_file(tmp_path / "m-2.safetensors")
    assert (tensors["w2"].dtype, tensors["ids2"].dtype) == (torch.bfloat16, torch.int64)
    total = json.loads((tmp_path / "model.safetensors.index.json").read_text())["metadata"]["total_size"]
    assert total == 2 * (6 * 2 + 3 * 8)


def test_no_trace_of_the_engine_stays_in_the_configuration() -> None:
    saved = {
        "model_type": "gemma3",
        "unsloth_version": "1",
        "quantization_config": {"load_in_4bit": True},
        "use_cache": False,
        "dtype": "float32",
        "text_config": {"use_cache": False, "dtype": "float32", "unsloth_fixed": True, "hidden_size": 8},
    }
    assert mended_config(saved, {"use_cache": True}, "bfloat16") == {
        "model_type": "gemma3",
        "use_cache": True,
        "dtype": "bfloat16",
        "text_config": {"use_cache": True, "dtype": "bfloat16", "hidden_size": 8},
    }


def test_generation_stops_at_the_end_of_a_turn_also_where_eos_is_another_token(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    """As in base models whose end of text is not the end of a turn of their family's template."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_dir, folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token": "<|endoftext|>"}))
    (folder / "generation_config.json").write_text('{"eos_token_id": 0, "bos_token_id": 1}')
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.eos_token_id, turn_end_id(tokenizer)) == (0, 2)
    stop_at_turn_end(folder)
    config = json.loads((folder / "generation_config.json").read_text())
    assert config == {"eos_token_id": [0, 2], "bos_token_id": 1}
