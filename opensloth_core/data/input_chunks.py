"""The rows of all files of an input in chunks, each file with the layout that its own rows show."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.chunk import RawChunk, raw_chunks
from opensloth_core.data.read.fingerprint import input_digest
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.raw_row import RawRow, parse_row
from opensloth_core.data.read.reader import InputReader
from opensloth_core.data.row import Rejected, Row
from opensloth_core.data.shape.layout import Layout, layout_of

_ROWS_FOR_LAYOUT = 100
_BYTES_FOR_LAYOUT = 32 << 20

AnyRow = RawRow | Rejected


class InputChunks:
    """Iterates over the chunks of an input; once.

    Args:
        files: what to read, in order.
        config: method and mapping, which the layout depends on.
        wanted_R: which rows of the whole input to give; all of them when not given.

    Raises:
        DataError: while iterating, where a file cannot be read or its rows have no known layout.
    """

    def __init__(
        self,
        files: Sequence[InputFile],
        config: DatasetPrepConfig,
        wanted_R: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        self._readers = [InputReader(file) for file in files]
        self._config = config
        self._wanted_R = wanted_R
        self._num_rows = 0

    def __iter__(self) -> Iterator[RawChunk]:
        for reader in self._readers:
            rows = iter(reader)
            # Those of the whole file, so that the layout is the same whichever rows are wanted.
            first = _first(rows)
            if first:
                layout = self._layout(first, reader.file.name)
                yield from raw_chunks(reader.file.name, layout, self._wanted(chain(first, rows)))

    @property
    def bytes_read(self) -> int:
        return sum(reader.bytes_read for reader in self._readers)

    @property
    def size_bytes(self) -> int:
        return sum(reader.size_bytes for reader in self._readers)

    @property
    def digest(self) -> str:
        """`input_digest` of what was read; known after the last chunk."""
        return input_digest(
            [reader.file for reader in self._readers], [reader.digest for reader in self._readers]
        )

    def _wanted(self, rows: Iterable[AnyRow]) -> Iterator[AnyRow]:
        if self._wanted_R is None:
            yield from rows
            return
        for row in rows:
            # More rows than there were when they were counted: the digest will tell.
            if self._num_rows < len(self._wanted_R) and self._wanted_R[self._num_rows]:
                yield row
            self._num_rows += 1

    def _layout(self, rows: Sequence[AnyRow], place: str) -> Layout | None:
        parsed = [parse_row(row) for row in rows if isinstance(row, RawRow)]
        values = [row.value for row in parsed if isinstance(row, Row)]
        return layout_of(values, self._config.method, self._config.map, place) if values else None


def _first(rows: Iterator[AnyRow]) -> list[AnyRow]:
    """The rows that show the layout; all of them are held at once, so fewer where they are long."""
    first, size_bytes = [], 0
    for row in islice(rows, _ROWS_FOR_LAYOUT):
        first.append(row)
        size_bytes += len(row.source) if isinstance(row, RawRow) else 0
        if size_bytes > _BYTES_FOR_LAYOUT:
            break
    return first


def num_rows(files: Sequence[InputFile]) -> int:
    """Rows of an input; reads all of it."""
    return sum(1 for file in files for _ in InputReader(file))
