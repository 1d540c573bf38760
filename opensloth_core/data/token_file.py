"""Encoded chunks in Arrow streams, one record batch a chunk: appended to, and read memory-mapped.

Array names end in their shape: E examples, T tokens of some of them, one after another.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opensloth_core.data.arrow_numbers import arrow_array, list_array, numpy_view
from opensloth_core.data.encode import EncodedChunk
from opensloth_core.data.tokenize import BoolArray, IntArray

Numbers = npt.NDArray[np.int64]

_SCHEMA = pa.schema(
    {
        "input_ids": pa.list_(pa.int32()),
        "trained": pa.list_(pa.uint8()),
        "row": pa.int32(),
        "group": pa.uint64(),
        "num_prompt": pa.int32(),
        "num_chosen": pa.int32(),
        "columns": pa.string(),
    }
)


class TokenWriter:
    """Appends chunks to a new file."""

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_stream(str(path), _SCHEMA)
        self.num_batches = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def append(self, chunk: EncodedChunk) -> int:
        """Add a chunk; gives the number of its batch."""
        columns = [
            list_array(chunk.input_ids_T, chunk.lengths_E),
            list_array(chunk.trained_T.view(np.uint8), chunk.lengths_E),
            arrow_array(chunk.row_E),
            arrow_array(chunk.group_E),
            arrow_array(chunk.num_prompt_E),
            arrow_array(chunk.num_chosen_E),
            _texts(chunk.columns_E),
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
        self.num_batches += 1
        return self.num_batches - 1


def token_batches(path: Path) -> list[pa.RecordBatch]:
    """The batches of a finished file, mapped into memory."""
    with pa.memory_map(str(path)) as source:
        return list(pa.ipc.open_stream(source))


def _texts(values: list[str | None]) -> pa.Array:
    has_text = any(value is not None for value in values)
    return pa.array(values, type=pa.string()) if has_text else pa.nulls(len(values), pa.string())


class TokenTable:
    """The examples of some batches, one after another, by their index; only what is asked for is read."""

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._batches = batches
        self._ids = [numpy_view(batch["input_ids"].values, np.int32) for batch in batches]
        self._trained = [numpy_view(batch["trained"].values, np.uint8).view(np.bool_) for batch in batches]
        self._ends = [numpy_view(batch["input_ids"].offsets, np.int32) for batch in batches]
        self.first_of_batch = np.cumsum([0, *(len(batch) for batch in batches)])

    def __len__(self) -> int:
        return int(self.first_of_batch[-1])

    @property
    def lengths_E(self) -> IntArray:
        return np.concatenate([np.empty(0, np.int32), *(np.diff(ends) for ends in self._ends)])

    def column(self, name: str, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """A column of numbers, shape [num examples]."""
        return np.concatenate([np.empty(0, dtype), *(numpy_view(b[name], dtype) for b in self._batches)])

    def columns(self, example: int) -> str | None:
        """The other columns of a GRPO row as JSON text."""
        batch, row = self._place(np.array([example]))
        text: str | None = self._batches[batch[0]]["columns"][int(row[0])].as_py()
        return text

    def gather(self, examples: Numbers, starts: IntArray, stops: IntArray) -> tuple[IntArray, BoolArray]:
        """Token ids and masks of tokens `[start, stop)` of some examples, one after another."""
        ids, trained = [], []
        for batch, first, last in self._slices(examples, starts, stops):
            ids.append(self._ids[batch][first:last])
            trained.append(self._trained[batch][first:last])
        return np.concatenate(ids), np.concatenate(trained)

    def _slices(self, examples: Numbers, starts: IntArray, stops: IntArray) -> Iterator[tuple[int, int, int]]:
        batches, rows = self._place(examples)
        for batch, row, start, stop in zip(
            batches.tolist(), rows.tolist(), starts.tolist(), stops.tolist(), strict=True
        ):
            first = int(self._ends[batch][row])
            yield batch, first + start, first + stop

    def _place(self, examples: Numbers) -> tuple[Numbers, Numbers]:
        batches = np.searchsorted(self.first_of_batch, examples, side="right") - 1
        return batches, examples - self.first_of_batch[batches]
