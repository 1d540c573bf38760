"""A model with an adapter merged into it: its numbers, and that it is made once."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ModelError
from opensloth_core.models import merged
from opensloth_core.models.adapter import Adapter, read_adapter
from opensloth_core.models.loaded import check_all_loaded
from opensloth_core.models.merged import check_mergeable, merged_model_dir
from opensloth_core.models.start import fetch_start

Q_PROJ = "layers.0.self_attn.q_proj"


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def adapter(adapter_dir: Path, module_home: Path, monkeypatch: pytest.MonkeyPatch) -> Adapter:
    monkeypatch.setenv("OPENSLOTH_HOME", str(module_home))
    return read_adapter(adapter_dir)


@pytest.mark.slow
def test_a_merged_weight_is_w_plus_the_scaled_product(adapter: Adapter, tiny_model_dir: Path) -> None:
    said: list[str] = []
    merged_dir = merged_model_dir(tiny_model_dir, tiny_model_dir, adapter, said.append)
    base = load_file(tiny_model_dir / "model.safetensors")
    low_rank = load_file(adapter.weights_path)
    result = load_file(merged_dir / "model.safetensors")
    product = (
        low_rank[f"base_model.model.model.{Q_PROJ}.lora_B.weight"]
        @ low_rank[f"base_model.model.model.{Q_PROJ}.lora_A.weight"]
    )
    expected = base[f"model.{Q_PROJ}.weight"] + 8 / 4 * product
    torch.testing.assert_close(result[f"model.{Q_PROJ}.weight"], expected, rtol=0, atol=1e-6)
    assert (expected - base[f"model.{Q_PROJ}.weight"]).abs().max() > 0.1
    assert torch.equal(
        result["model.layers.0.self_attn.k_proj.weight"], base["model.layers.0.self_attn.k_proj.weight"]
    )
    assert result.keys() == base.keys()
    written = (merged_dir / "model.safetensors").stat()
    assert merged_model_dir(tiny_model_dir, tiny_model_dir, adapter, said.append) == merged_dir
    assert (merged_dir / "model.safetensors").stat() == written
    of = f"{merged_dir}: {tiny_model_dir} with {adapter.folder} merged into it; keep it"
    assert said == [f"the base model becomes, while you wait, {of}", f"the base model is {of}"]


@pytest.mark.slow
def test_a_merged_model_is_a_model_with_its_tokenizer(adapter: Adapter, tiny_model_dir: Path) -> None:
    config = OpenSlothConfig.of({"data": "d", "model": str(adapter.folder), "merge_lora": True})
    found = fetch_start(config, lambda text: None)
    assert found.model_dir.parent.name == "models"
    assert (found.adapter_dir, found.base_model) == (None, str(found.model_dir))
    assert found.tokenizer_dir == tiny_model_dir
    names = {path.name for path in found.model_dir.iterdir()}
    assert names >= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
    }
    full = OpenSlothConfig.of({"data": "d", "model": str(adapter.folder), "finetuning_type": "full"})
    assert fetch_start(full, lambda text: None) == found


def test_another_adapter_is_another_merged_model(
    adapter: Adapter, tiny_model_dir: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merged, "_merge", lambda model_dir, adapter, folder: None)
    folder = Path(shutil.copytree(adapter.folder, tmp_path / "adapter"))
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 16}))
    made = [
        merged_model_dir(tiny_model_dir, tiny_model_dir, one, lambda text: None)
        for one in (adapter, read_adapter(folder), adapter)
    ]
    assert made[0] == made[2] != made[1]


def test_bfloat16_is_merged_in_float32_and_rounded_once(
    adapter: Adapter, tiny_model_dir: Path, tmp_path: Path
) -> None:
    from opensloth_core.models.merge import merge

    model_dir = Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))
    path = model_dir / "model.safetensors"
    base = {name: tensor.bfloat16() for name, tensor in load_file(path).items()}
    save_file(base, path, metadata={"format": "pt"})
    config = json.loads((model_dir / "config.json").read_text())
    (model_dir / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    merge(model_dir, adapter.folder, tmp_path / "merged")
    result = load_file(tmp_path / "merged" / "model.safetensors")
    low_rank = load_file(adapter.weights_path)
    prefix = f"base_model.model.model.{Q_PROJ}"
    product = low_rank[f"{prefix}.lora_B.weight"] @ low_rank[f"{prefix}.lora_A.weight"]
    expected = (base[f"model.{Q_PROJ}.weight"].float() + 2.0 * product).bfloat16()
    assert torch.equal(result[f"model.{Q_PROJ}.weight"], expected)
    assert {tensor.dtype for tensor in result.values()} == {torch.bfloat16}


def test_nothing_is_merged_into_a_quantized_model(
    adapter: Adapter, tiny_model_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"quantization_config": {"load_in_4bit": true}}')
    with pytest.raises(
        ModelError, match="is quantized, so no adapter can be merged into it; pass the model in 16"
    ):
        check_mergeable(adapter, tmp_path)


def test_a_matrix_that_peft_could_not_place_is_an_error_and_no_warning(
    adapter: Adapter, tiny_model_dir: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = Path(shutil.copytree(adapter.folder, tmp_path / "adapter"))
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    lost = next(name for name in tensors if ".lora_B." in name)
    save_file({name: tensor for name, tensor in tensors.items() if name != lost}, path)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model_dir), folder)
    with pytest.raises(ModelError) as caught:
        check_all_loaded(model, folder)
    assert f"1 of its matrices have no counterpart, such as {lost} (missing from its file)" in str(
        caught.value
    )
