"""Adapters whose every file says which one it belongs to."""

import json
import re
import struct
import time
from pathlib import Path

from opensloth_core.registry.records import PromotionRecord

FILES = ("adapter_config.json", "adapter_model.safetensors", "tokenizer_config.json", "templates/tool.jinja")


def write_adapter(folder: Path, mark: int, weight_bytes: int = 8) -> Path:
    """An adapter of four files, one of them in a folder."""
    (folder / "templates").mkdir(parents=True)
    config = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": "embedded", "mark": f"mark-{mark}-"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    header = {"w": {"dtype": "U8", "shape": [weight_bytes], "data_offsets": [0, weight_bytes]}}
    data = json.dumps({**header, "__metadata__": {"mark": f"mark-{mark}-"}}).encode()
    weights = struct.pack("<Q", len(data)) + data + bytes(weight_bytes)
    (folder / "adapter_model.safetensors").write_bytes(weights)
    (folder / "tokenizer_config.json").write_text(f'{{"mark": "mark-{mark}-"}}')
    (folder / "templates" / "tool.jinja").write_text(f"mark-{mark}-")
    return folder


def marks(folder: Path, pause: float = 0.0) -> set[int]:
    """What the files of a folder say that they belong to, each read after a pause."""
    found = set()
    for name in FILES:
        time.sleep(pause)
        found |= {int(mark) for mark in re.findall(rb"mark-(\d+)-", (folder / name).read_bytes())}
    return found


def record(mark: int, **others: object) -> PromotionRecord:
    values = {"run": f"run-{mark}", "method": "sft", "base_model": "embedded", "time": float(mark)}
    return PromotionRecord.model_validate({**values, **others})
