"""A file that is read from its end, wherever it is, with a digest of its content."""

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.place import is_url, reading, shown
from opensloth_core.data.read.storage import Storage, storage_of
from opensloth_core.data.read.stored_bytes import BLOCK_BYTES, StoredBytes, unpacked
from opensloth_core.errors import DataError


@dataclass(frozen=True, slots=True)
class Seekable:
    """The content of a file, and a function that gives the digest of what it holds after reading.

    `digest` raises DataError where a local file was written to since it was opened.
    """

    content: BinaryIO
    digest: Callable[[], str]


@contextmanager
def seekable(file: InputFile) -> Iterator[Seekable]:
    """Open a file for reading anywhere in it.

    What is compressed, or on a server that only sends whole files, is copied to a temporary file.

    Raises:
        DataError: it cannot be read.
    """
    storage = storage_of(file.url)
    if file.compression:
        opened = _copied(storage, file)
    elif is_url(file.url):
        opened = _remote(storage, file) or _copied(storage, file)
    else:
        opened = _local(storage, file)
    with opened.content:
        yield opened


def _local(storage: Storage, file: InputFile) -> Seekable:
    raw = storage.open(file.url)
    before = _written(raw)

    def digest() -> str:
        raw.seek(0)
        stored = StoredBytes(raw, file.url)
        value = stored.digest()
        if _written(raw) != before:
            raise DataError(f"{file.url}: changed while it was being read; run the command again")
        return value

    return Seekable(cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, raw), BLOCK_BYTES)), digest)


def _remote(storage: Storage, file: InputFile) -> Seekable | None:
    content = _RemoteFile(storage.open(file.url, random_access=True), shown(file.url))
    try:
        content.seek(-1, os.SEEK_END)
        content.read(1)
        content.seek(0)
    except DataError:
        content.close()
        return None

    def digest() -> str:
        if tag := storage.content_tag(file.url):
            return tag
        with StoredBytes(storage.open(file.url), file.url) as stored:
            return stored.digest()

    return Seekable(cast(BinaryIO, content), digest)


class _RemoteFile(io.RawIOBase):
    """A remote file whose failures, of whatever library, are DataErrors."""

    def __init__(self, file: BinaryIO, place: str) -> None:
        self._file = file
        self._place = place

    def read(self, size: int = -1, /) -> bytes:
        with reading(self._place):
            return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        with reading(self._place):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        super().close()
        self._file.close()


def _copied(storage: Storage, file: InputFile) -> Seekable:
    copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 (the caller closes it)
    with reading(shown(file.url)), StoredBytes(storage.open(file.url), file.url) as stored:
        content = unpacked(stored, file.compression, file.url)
        shutil.copyfileobj(content, copy, BLOCK_BYTES)
        content_digest = stored.digest()
    copy.seek(0)
    return Seekable(copy, lambda: storage.content_tag(file.url) or content_digest)


def _written(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
