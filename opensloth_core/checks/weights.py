"""Whether a model's weights are there, whole, and safetensors: pickle can run code when it is loaded."""

import json
from pathlib import Path

from opensloth_core.errors import ModelError
from opensloth_core.models.tensors import tensor_shapes

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_INDEX = "model.safetensors.index.json"


def check_weights(folder: Path) -> None:
    """Refuse a model's folder whose weights are not there, not whole, or would have to be unpickled.

    Only the headers of the files are read.

    Raises:
        ModelError: no weights, all of them are pickled, a file is missing or cut off, or the index of
            safetensors names files elsewhere.
    """
    pickled = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    found = {path.name for path in folder.glob("*.safetensors")}
    if pickled and not found:
        raise ModelError(
            f"{folder}: its weights are pickled ({pickled[0]}), which can run code when they are loaded; "
            "where you trust them, save them as safetensors: "
            "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)"
        )
    found |= _indexed(folder / _INDEX)
    if not found:
        raise ModelError(f"{folder}: holds no weights (no *.safetensors); copy the model again")
    for name in sorted(found):
        tensor_shapes(folder / name)


def _indexed(index: Path) -> set[str]:
    """The files that an index names; none where there is no index."""
    if not index.is_file():
        return set()
    try:
        names = set(json.loads(index.read_text())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ModelError(f"{index}: cannot be read as an index of weights; copy the model again") from err
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{index}: names {name!r}, which is not a safetensors file beside it")
    return names
