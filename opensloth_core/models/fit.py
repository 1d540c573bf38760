"""Whether an adapter's matrices fit the layers of a model, told from the headers of both files.

Only layers that both name in the usual way (`… layers.N.…`) are compared: what a checkpoint calls
embeddings, heads and experts is not always what the loaded model calls them.
"""

import re
from collections import defaultdict
from pathlib import Path

from opensloth_core.errors import ModelError
from opensloth_core.models.adapter import Adapter
from opensloth_core.models.tensors import Shape, model_shapes, tensor_shapes

_MATRIX = re.compile(r"\b(layers\.\d+\..+)\.lora_([AB])\.(?:default\.)?weight$")
_LAYER = re.compile(r"\b(layers\.\d+\..+)\.weight$")


def check_fit(adapter: Adapter, model_dir: Path) -> None:
    """Refuse an adapter that was made for a model of another shape.

    Raises:
        ModelError: a layer that it adapts is not in the model, or is of another shape; or the
            adapter's file cannot be read.
    """
    matrices = _matrices(adapter)
    layers = _layers(model_dir)
    if not layers:
        return
    for layer, (shape_A, shape_B) in matrices.items():
        if "experts" in layer:
            continue
        if layer not in layers:
            raise ModelError(
                f"{adapter.folder}: does not fit the model {model_dir}: it adapts {layer}, which the model "
                f"does not have; its own base is {adapter.base or 'not named'}"
            )
        wanted = (shape_B[0], shape_A[1])
        # GPT-2's linear layers are stored the other way round.
        if not {wanted, wanted[::-1]} & layers[layer]:
            there = " or ".join(map(_shown, sorted(layers[layer])))
            raise ModelError(
                f"{adapter.folder}: does not fit the model {model_dir}: it adapts {layer} of "
                f"{_shown(wanted)}, the model's is {there}; its own base is {adapter.base or 'not named'}"
            )


def _matrices(adapter: Adapter) -> dict[str, tuple[Shape, Shape]]:
    """The shapes of each adapted layer's two matrices.

    Raises:
        ModelError: one is missing, or their ranks differ.
    """
    halves: dict[str, dict[str, Shape]] = defaultdict(dict)
    for name, shape in tensor_shapes(adapter.weights_path).items():
        if (found := _MATRIX.search(name)) and len(shape) == 2:
            halves[found[1]][found[2]] = shape
    for layer, half in halves.items():
        if len(half) != 2 or half["A"][0] != half["B"][1]:
            shapes = ", ".join(f"lora_{side} of {_shown(shape)}" for side, shape in sorted(half.items()))
            raise ModelError(
                f"{adapter.weights_path}: {layer} has {shapes}: not the two matrices of an adapter"
            )
    return {layer: (half["A"], half["B"]) for layer, half in halves.items()}


def _layers(model_dir: Path) -> dict[str, set[Shape]]:
    """The shapes that go by each layer's name; several where a model has a second tower of layers."""
    layers: dict[str, set[Shape]] = defaultdict(set)
    for name, shape in model_shapes(model_dir).items():
        if found := _LAYER.search(name):
            layers[found[1]].add(shape)
    return dict(layers)


def _shown(shape: Shape) -> str:
    return " x ".join(map(str, shape))
