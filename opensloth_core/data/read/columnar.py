"""Rows of parquet, Arrow and hub data: columns turned into JSON text, a batch at a time.

A struct's null members stay as null; a map becomes an object; a row's line is its number, from 1.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import pyarrow as pa

from opensloth_core.data.read.canonical import UNKNOWN_TYPE, canonical
from opensloth_core.data.read.memory import STEP_BYTES, memory_ceiling
from opensloth_core.data.read.place import one_line
from opensloth_core.data.read.plain_types import with_plain_types
from opensloth_core.data.read.raw_row import NOT_UTF8, TOO_LONG, RawRow
from opensloth_core.data.read.stored_bytes import BLOCK_BYTES
from opensloth_core.data.row import Rejected
from opensloth_core.errors import DataError

_BATCH_ROWS = 1024
_PART_BYTES = 1 << 24
_SLICE_BYTES = 32 << 20
"""Rows that are turned into Python's objects at once, as Arrow holds them."""

_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"

# Arrow's allocator takes a GiB of addresses at its first allocation, which a ceiling would count as in use.
pa.allocate_buffer(64)

Seen = Callable[[int, int], None]
"""Told how many of how many parts have been read."""


def parquet_rows(file: BinaryIO, place: str, seen: Seen) -> Iterator[RawRow | Rejected]:
    """Rows of a parquet file.

    Raises:
        DataError: it is cut off or damaged, or has a column name twice.
    """
    from pyarrow.parquet import ParquetFile

    most = _size(file)
    with _whole(place, most):
        # With a buffer, a column is read page by page instead of all of its row group at once.
        parquet = ParquetFile(
            pa.PythonFile(file, mode="r"), page_checksum_verification=True, buffer_size=BLOCK_BYTES
        )
    _check_columns(parquet.schema_arrow, place)
    batches = parquet.iter_batches(batch_size=_BATCH_ROWS)
    num_rows = 0
    while (batch := _next(batches, place, most)) is not None:
        yield from batch_rows(batch, num_rows + 1)
        num_rows += batch.num_rows
        seen(num_rows, parquet.metadata.num_rows)
    if num_rows != parquet.metadata.num_rows:
        raise _damaged(place, f"{num_rows} of {parquet.metadata.num_rows} rows found")


def arrow_rows(file: BinaryIO, place: str, seen: Seen) -> Iterator[RawRow | Rejected]:
    """Rows of a file in Arrow's file format.

    Raises:
        DataError: it is cut off or damaged, or has a column name twice.
    """
    most = _size(file)
    with _whole(place, most):
        reader = pa.ipc.open_file(pa.PythonFile(file, mode="r"))
    _check_columns(reader.schema, place)
    num_rows = 0
    for number in range(reader.num_record_batches):
        with _whole(place, most):
            batch = reader.get_batch(number)
        for part in _validated_parts(batch, place):
            yield from batch_rows(part, num_rows + 1)
            num_rows += part.num_rows
        seen(number + 1, reader.num_record_batches)


def arrow_stream_rows(stream: BinaryIO, place: str, stored_bytes: int = 0) -> Iterator[RawRow | Rejected]:
    """Rows of a file in Arrow's stream format, as `Dataset.save_to_disk` writes it.

    Args:
        stored_bytes: size of the file, as far as it is known; a batch may take so much memory more.

    Raises:
        DataError: it is cut off or damaged, or has a column name twice.
    """
    buffered = io.BufferedReader(cast(io.RawIOBase, stream), BLOCK_BYTES)
    try:
        yield from _stream_rows(_Tail(buffered), place, stored_bytes)
    finally:
        # Closing is the owner's, and a wrapper that is dropped closes what it wraps.
        buffered.detach()


def _stream_rows(tail: "_Tail", place: str, most: int) -> Iterator[RawRow | Rejected]:
    with _whole(place, most):
        reader = pa.ipc.open_stream(pa.PythonFile(tail, mode="r"))
    _check_columns(reader.schema, place)
    num_rows = 0
    while (batch := _next(reader, place, most)) is not None:
        for part in _validated_parts(batch, place):
            yield from batch_rows(part, num_rows + 1)
            num_rows += part.num_rows
    # pyarrow takes a stream that is cut between two batches for a whole one.
    if not tail.last == _END_OF_STREAM:
        raise _damaged(place, "no end of stream")


def batch_rows(batch: Any, first_row: int) -> Iterator[RawRow | Rejected]:
    """The rows of a record batch, numbered from `first_row`."""
    length = max(1, batch.num_rows * _SLICE_BYTES // max(batch.nbytes, 1))
    for start in range(0, batch.num_rows, length):
        yield from _slice_rows(batch.slice(start, length), first_row + start)


def _slice_rows(batch: Any, first_row: int) -> Iterator[RawRow | Rejected]:
    try:
        with memory_ceiling():
            found = with_plain_types(batch).to_pylist(maps_as_pydicts="lossy")
            rows = [canonical(line, row) for line, row in enumerate(found, first_row)]
    except (ValueError, TypeError, OverflowError, MemoryError) as err:
        problem = err.with_traceback(None)  # which would hold what has been read
    else:
        yield from rows
        return
    if batch.num_rows == 1:
        yield _unreadable(batch, first_row, problem)
        return
    for offset in range(batch.num_rows):
        yield from _slice_rows(batch.slice(offset, 1), first_row + offset)


def _unreadable(row: Any, line: int, problem: Exception) -> Rejected:
    if isinstance(problem, MemoryError):
        return Rejected(line, TOO_LONG, f"reading it takes more than {STEP_BYTES >> 20} MiB of memory")
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            column.to_pylist(maps_as_pydicts="lossy")
        except UnicodeDecodeError:
            return Rejected(line, NOT_UTF8, f"in {name}")
        except (ValueError, TypeError, OverflowError) as err:
            return Rejected(line, UNKNOWN_TYPE, f"in {name}: {one_line(err)}")
    raise AssertionError("a row that cannot be read has a column that cannot")


def _validated_parts(batch: Any, place: str) -> Iterator[Any]:
    """Small parts of a batch whose buffers are known to lie inside the file."""
    # Lengths that contradict each other would otherwise end the whole process.
    with _whole(place):
        batch.validate(full=True)
    for start in range(0, batch.num_rows, _BATCH_ROWS):
        yield batch.slice(start, _BATCH_ROWS)


def _check_columns(schema: Any, place: str) -> None:
    with _whole(place):
        names = schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{place}: has the column {', '.join(twice)} twice; rename one")


def _next(batches: Any, place: str, most: int) -> Any | None:
    with _whole(place, most):
        return next(iter(batches), None)


def _size(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


@contextmanager
def _whole(place: str, stored_bytes: int = 0) -> Iterator[None]:
    """Turn what Arrow raises into a DataError, also where it would take much more memory than the file."""
    try:
        with memory_ceiling(STEP_BYTES + stored_bytes):
            yield
    except DataError:
        raise
    except MemoryError as err:
        raise DataError(
            f"{place}: a batch of its rows takes more than {STEP_BYTES + stored_bytes >> 20} MiB of memory; "
            "it is damaged or made to fill memory; if not, write it again with smaller row groups"
        ) from err
    except (pa.ArrowException, OSError, ValueError, EOFError) as err:
        raise _damaged(place, one_line(err)) from err


def _damaged(place: str, problem: str) -> DataError:
    return DataError(f"{place}: is cut off or damaged ({problem}); fetch or write the file again")


class _Tail:
    """A stream that remembers the last bytes that were read from it."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.last = b""

    def read(self, size: int) -> bytes:
        # A damaged length may ask for more than there is memory, all of which would be reserved first.
        parts = []
        while size > 0 and (part := self._stream.read(min(size, _PART_BYTES))):
            parts.append(part)
            size -= len(part)
        data = b"".join(parts)
        self.last = (self.last + data)[-8:] if len(data) < 8 else data[-8:]
        return data

    def close(self) -> None:
        """The stream is its owner's to close."""
