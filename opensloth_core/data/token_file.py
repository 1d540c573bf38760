"""Tokens and masks of examples in one Arrow stream: written chunk by chunk, read memory-mapped."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opensloth_core.data.tokenize import BoolArray, IntArray

_SCHEMA = pa.schema({"input_ids": pa.list_(pa.int32()), "trained": pa.list_(pa.uint8())})


def list_array(values: npt.NDArray[np.generic], lengths: npt.NDArray[np.integer]) -> pa.ListArray:
    """Rows of `lengths` values each, cut from `values`."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


class TokenWriter:
    """Appends chunks of examples to a new file."""

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_stream(str(path), _SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def append(self, input_ids_T: IntArray, trained_T: BoolArray, lengths_R: IntArray) -> None:
        """Add R examples with T tokens in all."""
        columns = [list_array(input_ids_T, lengths_R), list_array(trained_T.view(np.uint8), lengths_R)]
        self._writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))


class TokenFile:
    """The examples of a finished file, by their index; only what is asked for is read from disk."""

    def __init__(self, path: Path) -> None:
        with pa.memory_map(str(path)) as source:
            batches = pa.ipc.open_stream(source).read_all().to_batches()
        self._ids = [batch["input_ids"].values.to_numpy() for batch in batches]
        self._trained = [batch["trained"].values.to_numpy().view(np.bool_) for batch in batches]
        self._ends = [batch["input_ids"].offsets.to_numpy() for batch in batches]
        self._first_of_batch = np.cumsum([0, *(len(batch) for batch in batches)])

    @property
    def lengths(self) -> IntArray:
        """Tokens of each example, shape [num examples]."""
        return np.concatenate([np.empty(0, np.int32), *(np.diff(ends) for ends in self._ends)])

    def gather(self, indices: Sequence[int]) -> tuple[IntArray, BoolArray]:
        """Token ids and masks of some examples, one after another."""
        batches = np.searchsorted(self._first_of_batch, indices, side="right") - 1
        rows = np.asarray(indices) - self._first_of_batch[batches]
        ids, trained = [], []
        for batch, row in zip(batches.tolist(), rows.tolist(), strict=True):
            span = slice(self._ends[batch][row], self._ends[batch][row + 1])
            ids.append(self._ids[batch][span])
            trained.append(self._trained[batch][span])
        return np.concatenate(ids), np.concatenate(trained)
