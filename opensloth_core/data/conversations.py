"""The conversations of an input file, chunk by chunk, and the rows that are none."""

from collections.abc import Iterator

from opensloth_core.data.encode import Conversation
from opensloth_core.data.read.json_rows import InputReader
from opensloth_core.data.row import Rejected, Row, RowError
from opensloth_core.data.shape.layout import Shape, detect_shape
from opensloth_core.data.shape.normalise import normalise

_ROWS_FOR_SHAPE = 100
_CHUNK_ROWS = 1024
_CHUNK_BYTES = 8 << 20


def conversation_chunks(reader: InputReader) -> Iterator[list[Conversation | Rejected]]:
    """Every row of a file as a conversation or rejected, in the file's order.

    Chunks are bounded in rows and bytes, so that long rows do not fill the memory. The shape of the
    rows is that of the first ones.

    Raises:
        DataError: the file cannot be read, or its rows have no shape that can be trained on.
    """
    shape: Shape | None = None
    for rows in _chunks(reader):
        shape = shape or _shape(rows, str(reader.path))
        yield [_conversation(row, shape) for row in rows]


def _chunks(reader: InputReader) -> Iterator[list[Row | Rejected]]:
    chunk: list[Row | Rejected] = []
    start = 0
    for row in reader:
        chunk.append(row)
        if len(chunk) == _CHUNK_ROWS or reader.bytes_read - start > _CHUNK_BYTES:
            yield chunk
            chunk, start = [], reader.bytes_read
    if chunk:
        yield chunk


def _shape(rows: list[Row | Rejected], place: str) -> Shape | None:
    """The file's shape by the first rows of its first chunk; None where all of them are broken."""
    values = [row.value for row in rows if isinstance(row, Row)][:_ROWS_FOR_SHAPE]
    return detect_shape(values, place) if values else None


def _conversation(row: Row | Rejected, shape: Shape | None) -> Conversation | Rejected:
    if isinstance(row, Rejected):
        return row
    assert shape is not None, "a chunk with a row has a shape"
    try:
        return Conversation(row.line, normalise(row.value, shape))
    except RowError as err:
        return err.rejected(row.line)
