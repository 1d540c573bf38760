"""Raw rows in chunks whose borders follow from the rows themselves.

A chunk ends after a row whose checksum says so, as in content-defined chunking: rows that are
appended, edited, inserted or removed change the chunk they are in and, at most, the one after it; all
other chunks keep their content, and with it the digest they are found by.

Source: Muthitacharoen et al. 2001, A Low-bandwidth Network File System, section 3.1.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.row import Rejected
from opensloth_core.data.shape.layout import Layout

MIN_ROWS = 256
MAX_ROWS = 2048
MIN_BYTES = 512 << 10
MAX_BYTES = 4 << 20
BYTES_PER_BORDER = 1 << 20
"""A row of n bytes may end a chunk with a probability of n over this."""

SMALLEST_SHARE = 512
"""Short rows end one with a probability of 1 over this, so that chunks have 768 rows on average."""


@dataclass(frozen=True, slots=True)
class RawChunk:
    """Consecutive rows of one file."""

    file: str
    """Name of the file, for messages."""

    layout: Layout | None
    """How its rows are read; None where no row of the file can be parsed."""

    rows: list[RawRow | Rejected]

    @property
    def digest(self) -> str:
        """BLAKE2b-128 of the rows' content and their layout, hex; neither the file nor the lines count."""
        sources = [row.source if isinstance(row, RawRow) else str(row).encode() for row in self.rows]
        kinds = np.array([isinstance(row, RawRow) for row in self.rows], dtype=np.int64)
        lengths = np.array([len(source) for source in sources], dtype=np.int64)
        digest = hashlib.blake2b(np.stack([kinds, lengths]).tobytes(), digest_size=16)
        digest.update(b"".join(sources))
        digest.update((self.layout.key if self.layout else "").encode())
        return digest.hexdigest()

    @property
    def lines(self) -> list[int]:
        return [row.line for row in self.rows]


def raw_chunks(file: str, layout: Layout | None, rows: Iterable[RawRow | Rejected]) -> Iterator[RawChunk]:
    """The rows of a file in chunks of 256 rows or 512 KiB at least, and of 2,048 rows or 4 MiB at most.

    Where a chunk ends because it is large enough, an inserted row moves that border, so these are to be few.
    """
    chunk: list[RawRow | Rejected] = []
    size_bytes = 0
    for row in rows:
        chunk.append(row)
        if isinstance(row, RawRow):
            size_bytes += len(row.source)
            is_border = (len(chunk) >= MIN_ROWS or size_bytes >= MIN_BYTES) and _may_end(row.source)
        else:
            is_border = False
        if is_border or len(chunk) == MAX_ROWS or size_bytes >= MAX_BYTES:
            yield RawChunk(file, layout, chunk)
            chunk, size_bytes = [], 0
    if chunk:
        yield RawChunk(file, layout, chunk)


def _may_end(source: bytes) -> bool:
    num_bytes = max(len(source), BYTES_PER_BORDER // SMALLEST_SHARE)
    return zlib.crc32(source) * BYTES_PER_BORDER < num_bytes << 32
