"""A quick look at an input, to refuse within moments what preparing would refuse in a while."""

from collections.abc import Sequence
from dataclasses import dataclass

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.example import Example
from opensloth_core.data.input_chunks import InputChunks
from opensloth_core.data.quarantine import Quarantine, QuarantinedRow
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.raw_row import RawRow, parse_row
from opensloth_core.data.row import Rejected, RowError
from opensloth_core.data.shape.normalise import normalise

PROBE_BYTES = 8 << 20
"""Inputs up to this size are looked through whole, of larger ones only the first chunk of rows."""

FIRST_ROWS = 20
"""Usable rows that are given back."""

LONG_BYTES = 4 << 20
"""Of rows from here on only the first is given back, since all of these are held at once."""


@dataclass(frozen=True, slots=True)
class ProbedRow:
    """A row that can be used."""

    place: str
    """Where it is, such as `train.jsonl:17`."""

    example: Example


def probe(files: Sequence[InputFile], config: DatasetPrepConfig) -> list[ProbedRow]:
    """Read an input as preparing does, without a tokenizer. Gives its first usable rows.

    Raises:
        DataError: what preparing would raise for its format, its layout or its unusable rows.
    """
    chunks = InputChunks(files, config)
    quarantine, num_read = Quarantine(config.data_title), 0
    first: list[ProbedRow] = []
    for chunk in chunks:
        num_read += len(chunk.rows)
        for raw in chunk.rows:
            row = parse_row(raw) if isinstance(raw, RawRow) else raw
            if not isinstance(row, Rejected):
                assert chunk.layout is not None, "a file with a row that can be parsed has a layout"
                try:
                    example = normalise(row.value, chunk.layout)
                    if len(first) < FIRST_ROWS and (not first or _is_short(raw)):
                        first.append(ProbedRow(f"{chunk.file}:{row.line}", example))
                    continue
                except RowError as err:
                    row = err.rejected(row.line)
            quarantine.add(QuarantinedRow(chunk.file, row.line, row.reason, row.detail))
        if chunks.size_bytes > PROBE_BYTES:
            return first
    quarantine.check(num_read, num_read - quarantine.counts.total(), config.max_rejected)
    return first


def _is_short(raw: RawRow | Rejected) -> bool:
    return isinstance(raw, RawRow) and len(raw.source) < LONG_BYTES
