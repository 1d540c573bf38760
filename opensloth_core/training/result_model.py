"""A whole model on disk, as it would be if nobody had trained it here: no traces of the engine."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.load_tokenizer import load_tokenizer
from opensloth_core.models.tensors import weights_dtype
from opensloth_core.runs.directory import Launch

GENERATION_FILE = "generation_config.json"
INDEX_FILE = "model.safetensors.index.json"


def save_model(model: Any, folder: Path, config: OpenSlothConfig, launch: Launch) -> None:
    """Save all weights into a folder that has the tokenizer already.

    Weights are stored in the number format that was asked for, else in that of the model they come from,
    also where they were trained in a wider one.
    """
    source = Path(launch.model_dir)
    model.save_pretrained(folder)
    dtype = config.dtype if config.dtype != "auto" else weights_dtype(source)
    if dtype is not None and weights_dtype(folder) != dtype:
        cast_weights(folder, dtype)
    path = folder / "config.json"
    original = json.loads((source / "config.json").read_text())
    _write(path, mended_config(json.loads(path.read_text()), original, dtype))
    stop_at_turn_end(folder)


def cast_weights(folder: Path, dtype: str) -> None:
    """Store the floating-point tensors of a folder's safetensors files in another number format."""
    import torch
    from safetensors.torch import load_file, save_file

    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        tensors = {
            name: tensor.to(getattr(torch, dtype)) if tensor.is_floating_point() else tensor
            for name, tensor in load_file(path).items()
        }
        save_file(tensors, path, metadata={"format": "pt"})
        total += sum(tensor.nbytes for tensor in tensors.values())
    index_path = folder / INDEX_FILE
    if index_path.is_file():
        index = json.loads(index_path.read_text())
        index["metadata"]["total_size"] = total
        _write(index_path, index)


def mended_config(saved: Mapping[str, Any], original: Mapping[str, Any], dtype: str | None) -> dict[str, Any]:
    """The configuration of a trained model without what the engine changed for training.

    Args:
        saved: as it was saved.
        original: that of the model training started from.
        dtype: number format of the weights on disk.
    """
    config = {
        name: value
        for name, value in saved.items()
        if name != "quantization_config" and not name.startswith("unsloth")
    }
    if "use_cache" in config:
        config["use_cache"] = original.get("use_cache", True)
    if "dtype" in config and dtype is not None:
        config["dtype"] = dtype
    for name, value in config.items():
        part = original.get(name)
        if name.endswith("_config") and isinstance(value, dict):
            config[name] = mended_config(value, part if isinstance(part, dict) else {}, dtype)
    return config


def stop_at_turn_end(folder: Path) -> None:
    """Have generation stop at EOS and at the token that ends a turn, which is not always the same."""
    tokenizer = load_tokenizer(folder)
    path = folder / GENERATION_FILE
    config = json.loads(path.read_text()) if path.is_file() else {}
    given = config.get("eos_token_id")
    stops = list(given) if isinstance(given, list) else [given]
    stops += [tokenizer.eos_token_id, turn_end_id(tokenizer)]
    config["eos_token_id"] = list(dict.fromkeys(stop for stop in stops if stop is not None))
    _write(path, config)


def turn_end_id(tokenizer: Any) -> int | None:
    """The special token that the chat template writes behind an assistant's answer, if it does."""
    if not tokenizer.chat_template:
        return None
    answer = "1234567890"
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
    rendered = tokenizer.apply_chat_template(messages, tokenize=False)
    ids = tokenizer(rendered.rpartition(answer)[2].lstrip(), add_special_tokens=False)["input_ids"]
    added = tokenizer.added_tokens_decoder.get(ids[0]) if ids else None
    return ids[0] if added is not None and added.special else None


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
