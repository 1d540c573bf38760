"""What a folder says about the LoRA adapter in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensloth_core.errors import ModelError
from opensloth_core.expanded import expanded

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
NOTE_FILE = "opensloth.json"
"""Ours, beside PEFT's: what the user called the base model, which PEFT knows by its folder only."""


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on disk."""

    folder: Path

    base: str
    """The model it was trained on: a folder, a hub id or "embedded"."""

    base_dir: str
    """The same as PEFT names it: a folder or a hub id; empty where it names none."""

    config: Mapping[str, Any]
    """PEFT's adapter_config.json."""

    @property
    def weights_path(self) -> Path:
        return self.folder / WEIGHTS_FILE

    @property
    def settings(self) -> dict[str, Any]:
        """Its own values of what `LoraArguments` sets; `target_modules` also as a pattern."""
        modules = self.config.get("target_modules")
        return {
            "lora_rank": self.config.get("r"),
            "lora_alpha": self.config.get("lora_alpha"),
            "lora_dropout": self.config.get("lora_dropout"),
            "target_modules": modules if isinstance(modules, str) else tuple(sorted(modules or ())),
        }


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter rather than a model."""
    return (folder / CONFIG_FILE).is_file()


def read_adapter(folder: Path) -> Adapter:
    """The adapter of a folder.

    Raises:
        ModelError: there is none, it is not whole, or it is none of the kind that can be trained on.
    """
    folder = expanded(folder).absolute()
    try:
        if not folder.is_dir():
            found = "not an adapter's folder but a file" if folder.exists() else "no such adapter folder"
            raise ModelError(f"{folder}: {found}")
        if not is_adapter(folder):
            raise ModelError(f"{folder}: not an adapter (it has no {CONFIG_FILE})")
        config, note = _json(folder / CONFIG_FILE), _note(folder)
        has_weights = (folder / WEIGHTS_FILE).is_file()
    except OSError as err:
        raise ModelError(f"{folder}: cannot be read: {err.strerror}") from err
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ModelError(f"{folder}: peft_type {kind}: only LORA adapters can be trained on")
    if not has_weights:
        raise ModelError(
            f"{folder}: no {WEIGHTS_FILE}; where the weights are in adapter_model.bin, load the adapter with "
            "PEFT and save it again"
        )
    base_dir = str(config.get("base_model_name_or_path") or "")
    return Adapter(folder, str(note.get("base_model") or base_dir), base_dir, config)


def write_note(folder: Path, base: str, base_dir: str) -> None:
    """Note beside an adapter what the user calls its base model, and where that was."""
    note = {"base_model": base, "base_model_dir": base_dir}
    (folder / NOTE_FILE).write_text(json.dumps(note, indent=2) + "\n")


def _note(folder: Path) -> dict[str, Any]:
    path = folder / NOTE_FILE
    return _json(path) if path.is_file() else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except ValueError as err:
        raise ModelError(f"{path}: not valid JSON: {err}") from err
    if not isinstance(value, dict):
        raise ModelError(f"{path}: must be a JSON object, is {type(value).__name__}")
    return value
