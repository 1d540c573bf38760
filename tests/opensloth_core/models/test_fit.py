"""An adapter's matrices against the layers of a model, without loading either."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from opensloth_core.errors import ModelError
from opensloth_core.models.adapter import read_adapter
from opensloth_core.models.fit import check_fit
from opensloth_core.models.tensors import model_shapes, tensor_shapes, weights_dtype


@pytest.fixture
def model_copy(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A model that a test may change."""
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


def rewrite(path: Path, **tensors: object) -> None:
    """Change tensors of a safetensors file; None drops one. Names are given with `__` for `.`."""
    named = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    changed = {name: tensor for name, tensor in (load_file(path) | named).items() if tensor is not None}
    save_file(changed, path, metadata={"format": "pt"})


def test_an_adapter_fits_its_own_base(adapter_dir: Path, tiny_model_dir: Path) -> None:
    check_fit(read_adapter(adapter_dir), tiny_model_dir)


def test_a_layer_of_another_shape_is_named_with_both(adapter_dir: Path, model_copy: Path) -> None:
    import torch

    rewrite(model_copy / "model.safetensors", model__layers__1__self_attn__q_proj__weight=torch.zeros(48, 32))
    with pytest.raises(ModelError) as caught:
        check_fit(read_adapter(adapter_dir), model_copy)
    message = str(caught.value)
    assert f"does not fit the model {model_copy}: it adapts layers.1.self_attn.q_proj of 32 x 32" in message
    assert "the model's is 48 x 32; its own base is " in message


def test_a_layer_that_the_model_does_not_have_is_named(adapter_dir: Path, model_copy: Path) -> None:
    rewrite(model_copy / "model.safetensors", model__layers__1__mlp__down_proj__weight=None)
    with pytest.raises(
        ModelError, match=r"it adapts layers\.1\.mlp\.down_proj, which the model does not have"
    ):
        check_fit(read_adapter(adapter_dir), model_copy)


def test_of_a_quantized_model_no_shape_is_known(adapter_dir: Path, model_copy: Path) -> None:
    import torch

    packed = torch.zeros(512, 1, dtype=torch.uint8)
    rewrite(model_copy / "model.safetensors", model__layers__1__self_attn__q_proj__weight=packed)
    assert model_shapes(model_copy) == {}
    check_fit(read_adapter(adapter_dir), model_copy)


def test_an_adapter_with_half_a_pair_of_matrices_is_refused(
    adapter_dir: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(adapter_dir, tmp_path / "adapter"))
    name = "base_model__model__model__layers__0__self_attn__q_proj__lora_B__weight"
    rewrite(folder / "adapter_model.safetensors", **{name: None})
    with pytest.raises(
        ModelError, match=r"layers\.0\.self_attn\.q_proj has lora_A of 4 x 32: not the two matrices"
    ):
        check_fit(read_adapter(folder), tiny_model_dir)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_torn_file_is_refused(size: int, adapter_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "torn.safetensors"
    content = (adapter_dir / "adapter_model.safetensors").read_bytes()
    path.write_bytes(content[:size])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        tensor_shapes(path)


def test_the_number_format_is_that_of_most_weights(tiny_model_dir: Path, model_copy: Path) -> None:
    assert weights_dtype(tiny_model_dir) == "float32"
    path = model_copy / "model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path)
    assert weights_dtype(model_copy) == "bfloat16"
    (model_copy / "model.safetensors").unlink()
    assert weights_dtype(model_copy) is None
