"""What became of an input's rows since tokens were made of it, told by the digests of its chunks.

Rows are not kept in the store, only the digest of every chunk of them. A chunk that is still there is
unchanged. Rows were appended, and nothing else was done, where the chunks of before are those of now up to
the last one, and the rows that one had, hashed again, are the first rows of what stands in its place:

    before   A B C        (C ended because the file did)
    now      A B D E      digest(the first rows of D, as many as C had) == C: appended
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.tokens import PlacedChunk

Fate = Literal["unchanged", "appended", "changed", "added", "removed"]

Tail = tuple[int, int, str]
"""Of a file's last chunk: the number of the row it starts with, how many rows it has, and its digest."""


@dataclass
class FileChunks:
    """The chunks of one file, in order: digest and number of rows of each."""

    name: str
    chunks: list[tuple[str, int]] = field(default_factory=list)
    beginnings: set[Tail] = field(default_factory=set)
    """Tails of earlier files that turned out to be the first rows of a chunk of this one."""

    @property
    def digests(self) -> list[str]:
        return [digest for digest, _ in self.chunks]

    @property
    def num_rows(self) -> int:
        return sum(rows for _, rows in self.chunks)

    @property
    def tail(self) -> Tail:
        """See `Tail`."""
        digest, rows = self.chunks[-1]
        return self.num_rows - rows, rows, digest


_IDENTITIES: tuple[Callable[[FileChunks], object], ...] = (
    lambda file: (file.name, file.digests),
    lambda file: file.digests,
    lambda file: file.name,
)
"""What two files may be taken for the same by, surest first."""


@dataclass(frozen=True)
class FileChange:
    """What became of one file."""

    file: str
    fate: Fate
    rows: int
    """Rows now."""

    rows_before: int
    num_chunks: int = 0
    """Chunks now."""

    num_chunks_differing: int = 0
    rows_in_them: int = 0
    """Rows of the chunks that differ: no more than these were edited or added."""


def stored_files(chunks: Iterable[PlacedChunk]) -> list[FileChunks]:
    """The files that tokens were made of."""
    files: list[FileChunks] = []
    last_line = 0
    for chunk in chunks:
        last_line = _open_file(files, chunk.file, chunk.lines[0], last_line)
        files[-1].chunks.append((chunk.stored.digest, chunk.stored.num_rows))
    return files


def read_files(chunks: Iterable[RawChunk], tails: Iterable[Tail]) -> list[FileChunks]:
    """The files of an input, all of which is read.

    Args:
        tails: of files it may have grown from.
    """
    by_start: dict[int, set[Tail]] = {}
    for tail in tails:
        by_start.setdefault(tail[0], set()).add(tail)
    files: list[FileChunks] = []
    last_line = 0
    for chunk in chunks:
        last_line = _open_file(files, chunk.file, chunk.lines[0], last_line)
        file = files[-1]
        for tail in by_start.get(file.num_rows, ()):
            beginning = RawChunk(chunk.file, chunk.layout, chunk.rows[: tail[1]])
            if tail[1] < len(chunk.rows) and beginning.digest == tail[2]:
                file.beginnings.add(tail)
        file.chunks.append((chunk.digest, len(chunk.rows)))
    return files


def rows_in_common(now: Sequence[FileChunks], before: Sequence[FileChunks]) -> int:
    """How many rows of now are known to be rows of before."""
    known = {digest for file in before for digest in file.digests}
    tails = {file.tail for file in before}
    return sum(
        sum(rows for digest, rows in file.chunks if digest in known)
        + max((tail[1] for tail in file.beginnings & tails if tail[2] not in file.digests), default=0)
        for file in now
    )


def file_changes(now: Sequence[FileChunks], before: Sequence[FileChunks]) -> list[FileChange]:
    """What became of each file; files belong together by name, or by content, or as the only ones left.

    Those that are gone come last.
    """
    pairs, added, removed = _paired(now, before)
    changes = [_change(file, earlier) for file, earlier in pairs]
    changes += [FileChange(file.name, "added", file.num_rows, 0) for file in added]
    changes += [FileChange(file.name, "removed", 0, file.num_rows) for file in removed]
    return changes


def _open_file(files: list[FileChunks], name: str, line: int, last_line: int) -> int:
    """Begin the next file where a chunk belongs to it; two of the same name differ in where they start."""
    if not files or files[-1].name != name or line <= last_line:
        files.append(FileChunks(name))
    return line


def _paired(
    now: Sequence[FileChunks], before: Sequence[FileChunks]
) -> tuple[list[tuple[FileChunks, FileChunks]], list[FileChunks], list[FileChunks]]:
    left, unmatched = list(before), list(now)
    pairs: list[tuple[FileChunks, FileChunks]] = []
    for identity in _IDENTITIES:
        for file in list(unmatched):
            earlier = next((one for one in left if identity(one) == identity(file)), None)
            if earlier is not None:
                left = [one for one in left if one is not earlier]
                unmatched = [one for one in unmatched if one is not file]
                pairs.append((file, earlier))
    if len(unmatched) == len(left) == 1:
        return [*pairs, (unmatched[0], left[0])], [], []
    return pairs, unmatched, left


def _change(now: FileChunks, before: FileChunks) -> FileChange:
    differing = Counter(now.chunks) - Counter(before.chunks)
    fate: Fate = "changed"
    if now.digests == before.digests:
        fate = "unchanged"
    elif _is_grown(now, before):
        fate = "appended"
    return FileChange(
        file=now.name,
        fate=fate,
        rows=now.num_rows,
        rows_before=before.num_rows,
        num_chunks=len(now.chunks),
        num_chunks_differing=differing.total(),
        rows_in_them=sum(rows * times for (_, rows), times in differing.items()),
    )


def _is_grown(now: FileChunks, before: FileChunks) -> bool:
    if now.num_rows <= before.num_rows:
        return False
    num_before = len(before.chunks)
    if now.digests[:num_before] == before.digests:
        return True
    return now.digests[: num_before - 1] == before.digests[:-1] and before.tail in now.beginnings
