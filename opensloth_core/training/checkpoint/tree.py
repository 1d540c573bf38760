"""Nested state with tensors in it as JSON and safetensors files; nothing is ever pickled.

    optimizer.json                  {"state": {"$items": [[0, {"exp_avg": {"$tensor": "0.exp_avg"}, …}]]}}
    optimizer-00001.safetensors     0.exp_avg, …

What JSON does not know is written as an object with one key: `$tensor`, `$array` (of numpy), `$tuple`, and
`$items` for dictionaries whose keys are not all plain strings. Floats survive: Python writes the shortest
digits that read back as the same number, and reads what it writes for NaN and infinity.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save

from opensloth_core.store.artifact import FileRecord
from opensloth_core.training.checkpoint.files import write_file

FILE_BYTES = 1 << 30
"""Tensors of one file at most; so much is in memory twice while it is written."""

Tensors = dict[str, torch.Tensor]


def write_tree(folder: Path, stem: str, tree: Any) -> dict[str, FileRecord]:
    """Write a tree of dicts, lists, tuples, numbers, strings and tensors, and see it to the disk.

    Gives the records of the files written.

    Raises:
        OSError: it cannot be written.
        TypeError: something in it is of another type.
    """
    tensors: Tensors = {}
    text = json.dumps(_plain(tree, stem, tensors))
    records = {f"{stem}.json": write_file(folder / f"{stem}.json", text.encode())}
    for number, some in enumerate(_files_of(tensors), start=1):
        name = f"{stem}-{number:05d}.safetensors"
        records[name] = write_file(folder / name, save(_on_cpu(some)))
    return records


def read_tree(folder: Path, stem: str) -> Any:
    """A tree as `write_tree` wrote it, its tensors on the CPU."""
    tensors: Tensors = {}
    for path in sorted(folder.glob(f"{stem}-[0-9][0-9][0-9][0-9][0-9].safetensors")):
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    return _tree(json.loads((folder / f"{stem}.json").read_text()), tensors)


def tree_bytes(tree: Any) -> int:
    """About how many bytes a tree needs on disk: those of its tensors."""
    tensors: Tensors = {}
    _plain(tree, "", tensors)
    return sum(tensor.nbytes for tensor in tensors.values())


def _plain(value: Any, place: str, tensors: Tensors) -> Any:
    if isinstance(value, torch.Tensor):
        tensors[place] = value.detach()
        return {"$tensor": place}
    if isinstance(value, np.ndarray):
        tensors[place] = torch.from_numpy(value)
        return {"$array": place}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _plain(item, f"{place}.{key}", tensors) for key, item in value.items()}
        items = [
            [_plain(key, f"{place}.key", tensors), _plain(item, f"{place}.{key}", tensors)]
            for key, item in value.items()
        ]
        return {"$items": items}
    if isinstance(value, list | tuple):
        plain = [_plain(item, f"{place}.{number}", tensors) for number, item in enumerate(value)]
        return {"$tuple": plain} if isinstance(value, tuple) else plain
    raise TypeError(f"{place}: a checkpoint holds no {type(value).__name__}; give dicts, lists and tensors")


def _tree(value: Any, tensors: Tensors) -> Any:
    if isinstance(value, list):
        return [_tree(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or not next(iter(value)).startswith("$"):
        return {key: _tree(item, tensors) for key, item in value.items()}
    ((kind, content),) = value.items()
    if kind == "$tensor":
        return tensors[content]
    if kind == "$array":
        return tensors[content].numpy()
    if kind == "$tuple":
        return tuple(_tree(item, tensors) for item in content)
    assert kind == "$items", f"no such kind of value: {kind}"
    return {_tree(key, tensors): _tree(item, tensors) for key, item in content}


def _files_of(tensors: Tensors) -> Iterator[Tensors]:
    some: Tensors = {}
    size = 0
    for name, tensor in tensors.items():
        if some and size + tensor.nbytes > FILE_BYTES:
            yield some
            some, size = {}, 0
        some[name] = tensor
        size += tensor.nbytes
    if some:
        yield some


def _on_cpu(tensors: Tensors) -> Tensors:
    """The tensors, each in memory of its own: safetensors refuses those that share some."""
    storages: set[int] = set()
    own: Tensors = {}
    for name, tensor in tensors.items():
        on_cpu = tensor.cpu().contiguous()
        storage = on_cpu.untyped_storage()
        if storage.data_ptr() in storages or storage.nbytes() != on_cpu.nbytes:
            on_cpu = on_cpu.clone()
        storages.add(on_cpu.untyped_storage().data_ptr())
        own[name] = on_cpu
    return own
