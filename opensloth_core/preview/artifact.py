"""Prepared data by what a person calls it, and what there is to say about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from opensloth_core.data.shard import UNITS_FILE
from opensloth_core.errors import ConfigError
from opensloth_core.store.artifact import MANIFEST, damage
from opensloth_core.store.given import prepared_folder
from opensloth_core.store.prepared import PreparedManifest


@dataclass(frozen=True)
class Shard:
    """A shard file."""

    name: str
    num_rows: int
    num_tokens: int
    num_trained: int
    size_bytes: int


@dataclass(frozen=True)
class Inspected:
    """Prepared data on disk."""

    folder: Path
    manifest: PreparedManifest
    damage: str | None
    """What is wrong with its files, if anything."""

    shards: tuple[Shard, ...]

    @property
    def size_bytes(self) -> int:
        return sum(record.size_bytes for record in self.manifest.files.values())

    def as_json(self) -> Mapping[str, Any]:
        """Everything, for a program."""
        return {
            "folder": str(self.folder),
            "damage": self.damage,
            "size_bytes": self.size_bytes,
            **self.manifest.model_dump(mode="json"),
            "shards": [vars(shard) for shard in self.shards],
        }


def inspect(called: str) -> Inspected:
    """Prepared data by its key, the beginning of one, its folder, a copy's folder or the folder of a run.

    Raises:
        ConfigError: there is none, or several keys begin so.
    """
    folder = prepared_folder(called)
    try:
        manifest = PreparedManifest.model_validate_json((folder / MANIFEST).read_text())
    except (OSError, ValueError) as err:
        reason = str(err).splitlines()[0]
        raise ConfigError(f"{called}: {folder / MANIFEST} is not that of prepared data: {reason}") from err
    problem = damage(folder, manifest.files)
    return Inspected(folder, manifest, problem, () if problem else tuple(_shards(folder, manifest)))


def _shards(folder: Path, manifest: PreparedManifest) -> list[Shard]:
    with pa.memory_map(str(folder / UNITS_FILE)) as file:
        table = pa.ipc.open_stream(file).read_all()
        columns = {name: table[name].to_numpy() for name in table.column_names}
    counts = [
        np.bincount(columns["shard"], weights=weights, minlength=len(manifest.shards))
        for weights in (None, columns["num_tokens"], columns["num_trained"])
    ]
    return [
        Shard(name, int(rows), int(tokens), int(trained), manifest.files[name].size_bytes)
        for name, rows, tokens, trained in zip(manifest.shards, *counts, strict=True)
    ]
