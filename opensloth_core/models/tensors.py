"""Names and shapes of the tensors in a folder, read from the headers of its safetensors files."""

import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any

from opensloth_core.errors import ModelError

Shape = tuple[int, ...]

_FLOATS = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_PLAIN = {*_FLOATS, "I64", "BOOL"}

_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit


def tensor_shapes(path: Path) -> dict[str, Shape]:
    """Shape of each tensor of one safetensors file, by name.

    Source: https://github.com/huggingface/safetensors/tree/v0.6.2#format

    Raises:
        ModelError: the file is missing, cut off or no safetensors file.
    """
    return {name: tuple(entry["shape"]) for name, entry in _header(path).items()}


def model_shapes(folder: Path) -> dict[str, Shape]:
    """Shape of each tensor of a model's folder, by name; of files of other formats nothing is known.

    Empty for a quantized model, whose tensors do not have the shapes of its layers.

    Raises:
        ModelError: a safetensors file cannot be read.
    """
    entries = _entries(folder)
    if any(entry["dtype"] not in _PLAIN for entry in entries.values()):
        return {}
    return {name: tuple(entry["shape"]) for name, entry in entries.items()}


def weights_dtype(folder: Path) -> str | None:
    """The number format of most weights of a folder as torch names it; None where nothing is known.

    Raises:
        ModelError: a safetensors file cannot be read.
    """
    count = Counter(entry["dtype"] for entry in _entries(folder).values() if entry["dtype"] in _FLOATS)
    return _FLOATS[count.most_common(1)[0][0]] if count else None


def _entries(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        name: entry for path in sorted(folder.glob("*.safetensors")) for name, entry in _header(path).items()
    }


def _header(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > _MAX_HEADER_BYTES:
                raise ValueError("its header is too long")
            header = json.loads(file.read(size))
        rest = path.stat().st_size - 8 - size
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        if rest != max((entry["data_offsets"][1] for entry in tensors.values()), default=0):
            raise ValueError("it is cut off")
    except FileNotFoundError as err:
        raise ModelError(f"{path}: no such file") from err
    except OSError as err:
        raise ModelError(f"{path}: cannot be read: {err.strerror}") from err
    except (ValueError, struct.error, KeyError, TypeError, AttributeError) as err:
        cause = str(err) if type(err) is ValueError else "its header cannot be read"
        raise ModelError(f"{path}: not a whole safetensors file ({cause}); copy it again") from err
    return tensors
