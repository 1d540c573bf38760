"""Prepared examples, read back from the shards that are trained on.

Array names end in their shape: U units, T tokens of one example.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opensloth_core.data.shard import UNITS_FILE
from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.store.prepared import PreparedManifest

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Part:
    """A run of tokens that stand after one another: an example, or the prompt or an answer of one."""

    name: str
    input_ids_T: Ids
    trained_T: npt.NDArray[np.bool_]

    @property
    def num_trained(self) -> int:
        return int(self.trained_T.sum())

    def __len__(self) -> int:
        return len(self.input_ids_T)


@dataclass(frozen=True)
class Unit:
    """A row of a shard: a pack of examples, a preference pair or a prompt."""

    number: int
    """Counted from 0 over all shards."""

    shard: int
    row: int
    examples: tuple[tuple[Part, ...], ...]
    """The examples, each in parts."""

    columns: str | None = None
    """What the rewards of a prompt read, as JSON text."""

    @property
    def num_tokens(self) -> int:
        return sum(len(part) for example in self.examples for part in example)


class PreparedUnits:
    """The units of a prepared artifact.

    Args:
        folder: of the artifact, or of a copy.
    """

    def __init__(self, folder: Path, manifest: PreparedManifest) -> None:
        self.manifest = manifest
        self._shards = [_mapped(folder / name) for name in manifest.shards]
        places = _mapped(folder / UNITS_FILE)
        self._shard_U, self._row_U = (places[name].to_numpy() for name in ("shard", "row"))

    def __len__(self) -> int:
        return len(self._shard_U)

    def unit(self, number: int) -> Unit:
        """A unit, by its number over all shards."""
        shard, row = int(self._shard_U[number]), int(self._row_U[number])
        table = self._shards[shard]
        values = {name: table[name][row] for name in table.column_names}
        return Unit(
            number,
            shard,
            row,
            tuple(_examples(values)),
            values["columns"].as_py() if "columns" in values else None,
        )

    def typical(self) -> int:
        """The unit to begin with: the first, or where examples are packed a pack with a middling number."""
        if "seq_lengths" not in self._shards[0].column_names:
            return 0
        order = np.argsort(self._num_examples_U, kind="stable")
        return int(order[len(order) // 2])

    def units_from(self, first: int, num_examples: int) -> Iterator[tuple[Unit, int]]:
        """Units with so many examples together, each with how many of its own to show."""
        for number in range(len(self)):
            unit = self.unit((first + number) % len(self))
            yield unit, min(num_examples, len(unit.examples))
            num_examples -= len(unit.examples)
            if num_examples <= 0:
                return

    @cached_property
    def _num_examples_U(self) -> npt.NDArray[np.int64]:
        counts = [table["seq_lengths"].combine_chunks().value_lengths().to_numpy() for table in self._shards]
        first = np.cumsum([0, *map(len, counts)])
        places_U = first[self._shard_U] + self._row_U
        return np.asarray(np.concatenate(counts)[places_U], dtype=np.int64)


def _mapped(path: Path) -> pa.Table:
    return pa.ipc.open_stream(pa.memory_map(str(path))).read_all()


def _examples(values: dict[str, Any]) -> Iterator[tuple[Part, ...]]:
    if "seq_lengths" in values:
        borders = np.cumsum(_array(values["seq_lengths"]))[:-1]
        ids = np.split(_array(values["input_ids"]), borders)
        labels = np.split(_array(values["labels"]), borders)
        for input_ids_T, labels_T in zip(ids, labels, strict=True):
            yield (Part("", input_ids_T, labels_T != IGNORE_INDEX),)
        return
    names = [name for name in values if name.endswith("_ids")]
    parts = [(name.removesuffix("_ids"), _array(values[name])) for name in names]
    yield tuple(Part(name, ids, np.full(len(ids), name != "prompt")) for name, ids in parts)


def _array(value: Any) -> Ids:
    return np.asarray(value.values.to_numpy(), dtype=np.int32)
