"""Tokens of an input: the artifact that every preparation of the same rows shares.

A folder holds Arrow files of encoded chunks and `chunks.jsonl`, which says in order which chunk of the
input is which batch of which file. A chunk that another folder has already is linked from there:

    yesterday/  part-7f….arrow [A B C]        chunks.jsonl  A B C
    today/      part-7f….arrow (hard link)    chunks.jsonl  A B D E      C was edited, E appended
                part-c0….arrow [D E]
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.encode import EncodedChunk, EncodeSetup, RejectedRow
from opensloth_core.data.encode_pool import EncodePool
from opensloth_core.data.token_file import TokenTable, TokenWriter, token_batches

CHUNKS_FILE = "chunks.jsonl"


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """Where the tokens of a chunk are."""

    digest: str
    """Of the chunk's content and the layout it was read with."""

    part: str
    """File name."""

    batch: int
    num_rows: int
    num_examples: int
    rejected: tuple[RejectedRow, ...]


@dataclass(frozen=True, slots=True)
class PlacedChunk:
    """A stored chunk at its place in the input."""

    stored: StoredChunk
    file: str
    lines: tuple[int, ...]
    """Line of each row; only the first one where they follow one another."""

    def line(self, row: int) -> int:
        return self.lines[0] + row if len(self.lines) == 1 else self.lines[row]


def encode_into(
    folder: Path,
    part: str,
    chunks: Iterable[RawChunk],
    setup: Callable[[], EncodeSetup],
    known: Mapping[str, StoredChunk],
    on_chunk: Callable[[], None] = lambda: None,
) -> set[str]:
    """Write the tokens of all chunks that are not known, and `chunks.jsonl`.

    Args:
        folder: an existing folder.
        part: name of the file for new chunks.
        setup: gives what chunks are encoded with; not asked where all of them are known.
        known: chunks that have tokens already, by digest.
        on_chunk: called after each chunk that was encoded.

    Returns:
        Names of the files that hold the other chunks, which the folder still lacks.

    Raises:
        HelperDied: a process that encodes was killed.
    """
    stored: dict[str, StoredChunk] = dict(known)
    new: list[tuple[str, int]] = []
    places: list[tuple[str, str, tuple[int, ...]]] = []

    def unknown() -> Iterator[RawChunk]:
        pending: set[str] = set()
        for chunk in chunks:
            digest = chunk.digest
            places.append((digest, chunk.file, _lines(chunk)))
            if digest not in stored and digest not in pending:
                pending.add(digest)
                new.append((digest, len(chunk.rows)))
                yield chunk

    with EncodePool(setup) as pool, TokenWriter(folder / part) as writer:
        for number, encoded in enumerate(pool.encode(unknown())):
            digest, num_rows = new[number]
            stored[digest] = _stored(digest, part, writer.append(encoded), num_rows, encoded)
            on_chunk()
    with (folder / CHUNKS_FILE).open("w", encoding="utf-8", newline="\n") as file:
        for digest, name, lines in places:
            placed = PlacedChunk(stored[digest], name, lines)
            file.write(json.dumps(asdict(placed), separators=(",", ":")) + "\n")
    if not new:
        (folder / part).unlink()
    return {stored[digest].part for digest, _, _ in places} - {part}


def read_chunks(folder: Path) -> list[PlacedChunk]:
    """What `chunks.jsonl` says."""
    with (folder / CHUNKS_FILE).open(encoding="utf-8") as file:
        return [_placed(json.loads(line)) for line in file]


class TokenSet:
    """The tokens of an input, from their folder.

    Shapes: E examples, R rows of the input (those that were selected, where there was a selection).
    """

    def __init__(self, folder: Path) -> None:
        self.chunks = read_chunks(folder)
        parts = {name: token_batches(folder / name) for name in {c.stored.part for c in self.chunks}}
        self.table = TokenTable([parts[chunk.stored.part][chunk.stored.batch] for chunk in self.chunks])
        self._first_row = np.cumsum([0, *(chunk.stored.num_rows for chunk in self.chunks)])

    @property
    def num_rows(self) -> int:
        return int(self._first_row[-1])

    @cached_property
    def row_E(self) -> npt.NDArray[np.int64]:
        """The row each example comes from, counted over the whole input."""
        sizes = np.diff(self.table.first_of_batch)
        return np.repeat(self._first_row[:-1], sizes) + self.table.column("row", np.int32).astype(np.int64)

    def rejected(self) -> Iterator[tuple[int, RejectedRow]]:
        """The rows that gave no example, by their number over the whole input, in order."""
        for first, chunk in zip(self._first_row[:-1].tolist(), self.chunks, strict=True):
            for row in chunk.stored.rejected:
                yield first + row.row, row

    def place(self, row: int) -> tuple[str, int]:
        """File name and line of a row."""
        number = int(np.searchsorted(self._first_row, row, side="right")) - 1
        chunk = self.chunks[number]
        return chunk.file, chunk.line(row - int(self._first_row[number]))


def _lines(chunk: RawChunk) -> tuple[int, ...]:
    lines = chunk.lines
    follow = lines == list(range(lines[0], lines[0] + len(lines)))
    return (lines[0],) if follow else tuple(lines)


def _stored(digest: str, part: str, batch: int, num_rows: int, encoded: EncodedChunk) -> StoredChunk:
    return StoredChunk(digest, part, batch, num_rows, len(encoded.lengths_E), tuple(encoded.rejected))


def _placed(record: dict[str, Any]) -> PlacedChunk:
    stored = record["stored"]
    rejected = tuple(RejectedRow(**row) for row in stored.pop("rejected"))
    return PlacedChunk(StoredChunk(**stored, rejected=rejected), record["file"], tuple(record["lines"]))


def known_chunks(folders: Sequence[Path]) -> dict[str, tuple[StoredChunk, Path]]:
    """The chunks of some folders by digest, each with the folder it is in."""
    return {
        chunk.stored.digest: (chunk.stored, folder) for folder in folders for chunk in read_chunks(folder)
    }
