"""The content of xz data, in bounded memory.

`lzma.LZMAFile` obeys whatever dictionary the data asks for, which may be 4 GiB.
"""

import lzma
from typing import BinaryIO

MEMORY_BYTES = 256 << 20
"""`xz -9` takes 65 MiB."""

_BLOCK_BYTES = 1 << 18


class XzStream:
    """Reads what xz data unpacks to; streams may follow one another, with zeros between them."""

    def __init__(self, stored: BinaryIO) -> None:
        self._stored = stored
        self._decoder = _decoder()

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end.

        Raises:
            lzma.LZMAError: the data is damaged, or takes too much memory to unpack.
            EOFError: the data is cut off.
        """
        while True:
            rest = b""
            if self._decoder.eof:
                rest = self._after_stream()
                if not rest:
                    return b""
                self._decoder = _decoder()
            elif self._decoder.needs_input:
                rest = self._stored.read(_BLOCK_BYTES)
                if not rest:
                    raise EOFError("its end is missing")
            if data := self._decoder.decompress(rest, size):
                return data

    def close(self) -> None:
        """The stored bytes are their owner's to close."""

    def _after_stream(self) -> bytes:
        """The beginning of the next stream; nothing at the end."""
        data = self._decoder.unused_data.lstrip(b"\0")
        while not data:
            block = self._stored.read(_BLOCK_BYTES)
            if not block:
                return b""
            data = block.lstrip(b"\0")
        return data


def _decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY_BYTES)
