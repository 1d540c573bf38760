"""The rows of one input file, raw, in order, with a digest of what was really read."""

from collections.abc import Iterator
from typing import BinaryIO

from opensloth_core.data.read.columnar import arrow_rows, arrow_stream_rows, batch_rows, parquet_rows
from opensloth_core.data.read.csv_rows import csv_rows
from opensloth_core.data.read.hub import hub_fingerprint, load_hub_data
from opensloth_core.data.read.input_file import RANDOM_ACCESS, InputFile
from opensloth_core.data.read.json_array import array_rows
from opensloth_core.data.read.limits import within_limit
from opensloth_core.data.read.lines import json_lines, text_lines
from opensloth_core.data.read.place import shown
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.read.seekable import seekable
from opensloth_core.data.read.storage import storage_of
from opensloth_core.data.read.stored_bytes import StoredBytes, unpacked
from opensloth_core.data.row import Rejected

_HUB_BATCH_ROWS = 1024


class InputReader:
    """Iterates a file's rows as `RawRow` or `Rejected`, in order, holding one block at a time.

    Iterate once. Stopping early, by dropping or closing the iterator, closes the file.

    Attributes:
        file: what is read.
        size_bytes: its stored size; 0 where it is not known.
        bytes_read: how far reading has come, in stored bytes.

    Raises:
        DataError: while iterating, where the file is gone, cut off, damaged or laid out in another way.
    """

    def __init__(self, file: InputFile) -> None:
        self.file = file
        self.size_bytes = file.size_bytes
        self._place = shown(file.url)
        self._stored: StoredBytes | None = None
        self._bytes_seen = 0
        self._digest: str | None = None

    @property
    def bytes_read(self) -> int:
        return self._stored.num_read if self._stored else self._bytes_seen

    @property
    def digest(self) -> str:
        """`fingerprint` of what was read; known once every row has been read."""
        assert self._digest is not None, "the digest is known only after the last row"
        return self._digest

    def __iter__(self) -> Iterator[RawRow | Rejected]:
        return within_limit(self._rows(), self.file.url)

    def _rows(self) -> Iterator[RawRow | Rejected]:
        if self.file.format == "hub":
            return self._hub_rows()
        return self._at_random() if self.file.format in RANDOM_ACCESS else self._in_order()

    def _in_order(self) -> Iterator[RawRow | Rejected]:
        storage = storage_of(self.file.url)
        with StoredBytes(storage.open(self.file.url), self.file.url) as stored:
            self._stored = stored
            content = unpacked(stored, self.file.compression, self.file.url)
            yield from self._parsed(content)
            content_digest = stored.digest()
            # A file that is done would be held as long as the reader.
            self._stored, self._bytes_seen = None, stored.num_read
        self._digest = storage.content_tag(self.file.url) or content_digest

    def _parsed(self, content: BinaryIO) -> Iterator[RawRow | Rejected]:
        match self.file.format:
            case "json-array":
                return array_rows(content, self._place)
            case "csv":
                return csv_rows(content, ",", self._place)
            case "tsv":
                return csv_rows(content, "\t", self._place)
            case "text":
                return text_lines(content, self._place)
            case "arrow-stream":
                return arrow_stream_rows(content, self._place, self.file.size_bytes)
            case _:
                return json_lines(content, self._place)

    def _at_random(self) -> Iterator[RawRow | Rejected]:
        with seekable(self.file) as opened:
            rows = parquet_rows if self.file.format == "parquet" else arrow_rows
            yield from rows(opened.content, self._place, self._seen)
            self._digest = opened.digest()

    def _hub_rows(self) -> Iterator[RawRow | Rejected]:
        data = load_hub_data(self.file)
        self.size_bytes = data.data.nbytes
        num_rows = 0
        for table in data.with_format("arrow").iter(_HUB_BATCH_ROWS):
            for batch in table.to_batches():
                yield from batch_rows(batch, num_rows + 1)
                num_rows += batch.num_rows
            self._seen(num_rows, len(data))
        self._digest = hub_fingerprint(self.file)

    def _seen(self, part: int, parts: int) -> None:
        self._bytes_seen = self.size_bytes * part // parts
