"""Whether a model's weights are safetensors; the other format, pickle, can run code when it is loaded."""

import json
from pathlib import Path

from opensloth_core.errors import ModelError

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
_INDEX = "model.safetensors.index.json"


def check_weights(folder: Path) -> None:
    """Refuse a model's folder whose weights would have to be unpickled.

    Raises:
        ModelError: all of them are pickled, or the index of safetensors names files elsewhere.
    """
    found = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if found and not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder}: its weights are pickled ({found[0]}), which can run code when they are loaded; where "
            "you trust them, save them as safetensors: "
            "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)"
        )
    index = folder / _INDEX
    if not index.is_file():
        return
    try:
        names = set(json.loads(index.read_text())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ModelError(f"{index}: cannot be read as an index of weights; copy the model again") from err
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{index}: names {name!r}, which is not a safetensors file beside it")
