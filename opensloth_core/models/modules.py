"""The modules of a model that hold a matrix, told from the headers of its safetensors files."""

import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from opensloth_core.models.tensors import tensor_shapes

_INDEX = "model.safetensors.index.json"
_MATRICES = ("weight", "qweight", "weight_packed")
"""What a module calls its matrix, as it is or quantized."""

_UNSTORED = "lm_head"
"""A head that is the input embedding has no tensor of its own."""

_BEFORE_LAYERS = re.compile(r"^.*?\b(?=layers\.\d)")
"""What a checkpoint calls it is not always what the loaded model does."""


def matrix_modules(folder: Path) -> set[str]:
    """Names such as `model.layers.0.self_attn.q_proj`; none where files are missing or of other formats.

    Raises:
        ModelError: a safetensors file cannot be read.
    """
    if not _is_whole(folder):
        return set()
    found = set()
    for path in folder.glob("*.safetensors"):
        for name, shape in tensor_shapes(path).items():
            module, _, last = name.rpartition(".")
            if last in _MATRICES and len(shape) > 1:
                found.add(module)
            elif len(shape) > 2:  # experts in one tensor
                found.add(name)
    return found


def unknown_modules(wanted: Iterable[str], modules: Collection[str]) -> list[str]:
    """Those of some names that no module goes by: with PEFT, its whole name or the last parts of it."""
    ends = {_UNSTORED}
    for module in modules:
        parts = module.split(".")
        ends.update(".".join(parts[start:]) for start in range(len(parts)))
    return [name for name in wanted if name not in ends and _BEFORE_LAYERS.sub("", name) not in ends]


def short_names(modules: Iterable[str]) -> list[str]:
    """The last parts of the names of modules that are in layers."""
    parts = [module.split(".") for module in modules]
    return sorted({own[-1] for own in parts if any(part.isdigit() for part in own[:-1])})


def _is_whole(folder: Path) -> bool:
    index = folder / _INDEX
    if not index.is_file():
        return True
    try:
        names = set(json.loads(index.read_text())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return all((folder / str(name)).is_file() for name in names)
