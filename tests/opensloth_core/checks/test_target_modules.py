"""Layers that a model does not have get no adapter: they are refused, before anything is prepared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from opensloth_core.checks.target_modules import check_target_modules
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError

LAYER = "gpt_neox.layers.0"
NEOX = (f"{LAYER}.attention.query_key_value", f"{LAYER}.attention.dense", "gpt_neox.embed_in")


def settings(model: Path, target_modules: str | None = None, **values: Any) -> OpenSlothConfig:
    lora = {} if target_modules is None else {"lora": {"target_modules": target_modules}}
    return OpenSlothConfig.of({"data": "d", "model": str(model), **lora, **values})


def folder_of(folder: Path, *modules: str, shape: tuple[int, ...] = (2, 2)) -> Path:
    weights = {f"{name}.weight": np.zeros(shape, np.float32) for name in modules}
    save_file({**weights, "norm.weight": np.zeros(2, np.float32)}, folder / "model.safetensors")
    return folder


def test_each_name_is_the_end_of_a_module_s_name(tiny_model_dir: Path) -> None:
    for known in (
        "q_proj,v_proj",
        "self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
        "model.language_model.layers.1.mlp.up_proj",
        "embed_tokens,lm_head",
    ):
        check_target_modules(settings(tiny_model_dir, known), tiny_model_dir)
    for unknown in (
        "q_prj",
        "proj",
        "mlp.q_proj",
        "model.layers.2.mlp.up_proj",
        "all-linear",
        "input_layernorm",
    ):
        with pytest.raises(ConfigError, match=f"^target_modules {unknown}: "):
            check_target_modules(settings(tiny_model_dir, f"v_proj,{unknown}"), tiny_model_dir)


def test_what_there_is_is_told(tiny_model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_target_modules(settings(tiny_model_dir, "q_prj,v_proj,foo"), tiny_model_dir)
    assert str(caught.value) == (
        f"target_modules q_prj,foo: the model {tiny_model_dir} has no layers of such names; give some of "
        "--target-modules down_proj,gate_proj,k_proj,o_proj,q_proj,up_proj,v_proj"
    )


def test_of_the_default_a_model_need_have_one(tmp_path: Path) -> None:
    neox = folder_of(tmp_path, *NEOX)
    with pytest.raises(ConfigError, match=r"give some of --target-modules dense,query_key_value$"):
        check_target_modules(settings(neox), neox)
    check_target_modules(settings(neox, finetuning_type="full"), neox)
    check_target_modules(settings(neox, "query_key_value"), neox)
    phi = folder_of(tmp_path, "model.layers.0.self_attn.qkv_proj", "model.layers.0.self_attn.o_proj")
    check_target_modules(settings(phi), phi)
    with pytest.raises(ConfigError, match=r"^target_modules q_proj: "):
        check_target_modules(settings(phi, "q_proj,o_proj"), phi)


def test_nothing_is_refused_where_not_all_weights_are_here(tmp_path: Path) -> None:
    check_target_modules(settings(tmp_path, "foo"), tmp_path)
    folder = folder_of(tmp_path, *NEOX)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    check_target_modules(settings(folder, "foo"), folder)
