"""The stored bytes of a file, hashed and counted as they are read, and what they unpack to."""

import hashlib
import io
import lzma
from abc import abstractmethod
from typing import Any, BinaryIO

from opensloth_core.data.read.input_file import Compression
from opensloth_core.data.read.place import one_line, reading, shown
from opensloth_core.data.read.xz import XzStream
from opensloth_core.errors import DataError

BLOCK_BYTES = 1 << 18

_PYARROW_CODEC = {"gz": "gzip", "zst": "zstd", "bz2": "bz2"}


class _Filled(io.RawIOBase):
    """A stream whose reads give all that was asked for, except at the end."""

    @abstractmethod
    def _some(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._some(size if size >= 0 else BLOCK_BYTES)
        if not data or len(data) == size:
            return data
        parts, held = [data], len(data)
        while size < 0 or held < size:
            data = self._some(size - held if size >= 0 else BLOCK_BYTES)
            if not data:
                break
            parts.append(data)
            held += len(data)
        return b"".join(parts)

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class StoredBytes(_Filled):
    """Reads a file from its start to its end.

    Attributes:
        num_read: bytes read.
    """

    def __init__(self, file: BinaryIO, place: str) -> None:
        self._file = file
        self._place = place
        self._hash = hashlib.blake2b(digest_size=32)
        self.num_read = 0

    def digest(self) -> str:
        """blake2b-256 of the whole file in hex; reads what is left of it."""
        while self.read(BLOCK_BYTES):
            pass
        return self._hash.hexdigest()

    def close(self) -> None:
        super().close()
        self._file.close()

    def _some(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except Exception:
            with reading(self._place):
                raise
        self._hash.update(data)
        self.num_read += len(data)
        return data


class Unpacked(_Filled):
    """The content of compressed bytes.

    Raises:
        DataError: while reading, where they are damaged or end too early.
    """

    def __init__(self, stored: BinaryIO, compression: Compression, place: str) -> None:
        self._place = place
        self._compression = compression
        self._stream: Any
        if compression == "xz":
            self._stream = XzStream(stored)
        else:
            import pyarrow as pa

            # It finds truncated data in all of these formats; most other readers of zst do not.
            self._stream = pa.CompressedInputStream(
                pa.PythonFile(stored, mode="r"), _PYARROW_CODEC[compression]
            )

    def close(self) -> None:
        super().close()
        self._stream.close()

    def _some(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except DataError:
            raise
        except (OSError, EOFError, ValueError, lzma.LZMAError) as err:
            raise DataError(
                f"{shown(self._place)}: its {self._compression} data is cut off or damaged "
                f"({one_line(err)}); fetch the file again"
            ) from err
        return data


def unpacked(stored: StoredBytes, compression: Compression | None, place: str) -> BinaryIO:
    """The content of a file, whether it is compressed or not."""
    return Unpacked(stored, compression, place) if compression else stored  # type: ignore[return-value, arg-type]
