"""`origins.arrow`: for every unit, in order, where in the input its rows are.

Tokens are all that training needs, but a person who is told of a bad pack wants a file and a line. It
costs twelve bytes an example. Files are told by number, and their names are the manifest's to know, so
that the same content under another name is still the same bytes.

Array names end in their shape: U units, E examples of some units, C chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from opensloth_core.data.arrow_numbers import list_array
from opensloth_core.data.token_file import Numbers
from opensloth_core.data.tokenize import IntArray
from opensloth_core.data.tokens import PlacedChunk, TokenSet
from opensloth_core.data.units import Units

ORIGINS_FILE = "origins.arrow"

_SCHEMA = pa.schema({"file": pa.list_(pa.int32()), "line": pa.list_(pa.int64())})
_UNITS_PER_BATCH = 1 << 14


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row of the input is."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def file_names(chunks: Sequence[PlacedChunk]) -> list[str]:
    """Names of the files with rows, by their number in `origins.arrow`."""
    return list(dict.fromkeys(chunk.file for chunk in chunks))


class Places:
    """File and line of rows, many at once."""

    def __init__(self, chunks: Sequence[PlacedChunk]) -> None:
        self._chunks = chunks
        numbers = {name: number for number, name in enumerate(file_names(chunks))}
        self._file_C = np.array([numbers[chunk.file] for chunk in chunks], dtype=np.int32)
        self._first_row_C = np.cumsum([0, *(chunk.stored.num_rows for chunk in chunks)])[:-1]
        self._first_line_C = np.array([chunk.lines[0] for chunk in chunks], dtype=np.int64)
        self._has_gaps_C = np.array([len(chunk.lines) > 1 for chunk in chunks], dtype=np.bool_)

    def of(self, row_E: Numbers) -> tuple[IntArray, Numbers]:
        """Number of the file and line of rows, which are counted over the whole input."""
        chunk_E = np.searchsorted(self._first_row_C, row_E, side="right") - 1
        within_E = row_E - self._first_row_C[chunk_E]
        line_E: Numbers = self._first_line_C[chunk_E] + within_E
        for index in np.flatnonzero(self._has_gaps_C[chunk_E]).tolist():
            line_E[index] = self._chunks[chunk_E[index]].line(int(within_E[index]))
        return self._file_C[chunk_E], line_E


def write_origins(folder: Path, units: Units, tokens: TokenSet) -> None:
    """Write `origins.arrow` for all units into `folder`."""
    places, row_E = Places(tokens.chunks), tokens.row_E
    num_units = len(units.num_tokens_U)
    with pa.ipc.new_stream(str(folder / ORIGINS_FILE), _SCHEMA) as writer:
        for start in range(0, num_units, _UNITS_PER_BATCH):
            numbers = np.arange(start, min(start + _UNITS_PER_BATCH, num_units))
            examples_E, num_examples_U = units.examples(numbers)
            columns = [list_array(values_E, num_examples_U) for values_E in places.of(row_E[examples_E])]
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))


def read_origins(folder: Path, unit: int, files: Sequence[str]) -> list[Origin]:
    """Where the examples of a unit come from, in their order in it; none where nothing says so.

    Args:
        folder: that of the prepared data.
        unit: number of the unit.
        files: names of the files, by their number.
    """
    path = folder / ORIGINS_FILE
    if not path.exists():  # data prepared by an earlier version
        return []
    with pa.memory_map(str(path)) as source:
        row = pa.ipc.open_stream(source).read_all().slice(unit, 1).to_pylist()[0]
    return [Origin(files[file], line) for file, line in zip(row["file"], row["line"], strict=True)]
