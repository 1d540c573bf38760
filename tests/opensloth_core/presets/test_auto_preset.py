"""`--preset auto`: what model size and GPU memory ask for, with the reason."""

import json
import re
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.plan.device import Device
from opensloth_core.presets.auto import choose_preset

EIGHT_B = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> OpenSlothConfig:
    folder = tmp_path / "llama-8b"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(EIGHT_B))
    return OpenSlothConfig.of({"data": "d", "model": str(folder), "gpus": 1})


@pytest.mark.parametrize(("gigabytes", "preset"), [(16, "memory-saver"), (24, None), (80, None)])
def test_lora_that_does_not_fit_is_saved_memory(
    gigabytes: int, preset: str | None, config: OpenSlothConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU stands in for one that this machine lacks."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    gpu = (Device("GPU", gigabytes << 30),)
    monkeypatch.setattr("opensloth_core.plan.device.describe_devices", lambda devices: gpu)
    choice = choose_preset(config)
    assert choice.preset == preset
    # 15.0 GiB of weights and 0.6 of the adapter, its gradients and state; the loss takes what there is.
    assert re.match(
        rf"preset auto: {preset or 'none'}, since lora of llama-8b needs about 1[56]\.\d GiB at least, of "
        rf"{gigabytes}\.0 GiB a GPU",
        choice.text,
    )
    assert choice == choose_preset(config)


def test_a_cpu_and_a_model_that_is_missing_take_none(
    config: OpenSlothConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_preset(config).text == (
        "preset auto: none, since there is no GPU whose memory could be too small"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    missing = config.model_copy(update={"model": "/no/model"})
    assert (
        choose_preset(missing).text
        == "preset auto: none, since it cannot be told: model /no/model: no such model folder"
    )
    # The driver is not there to say how large GPU 0 is.
    assert choose_preset(config).preset is None
