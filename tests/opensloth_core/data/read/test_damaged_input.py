"""Files damaged at random: each ends as rows, rejected rows or one clear line, never as a traceback."""

import bz2
import gzip
import io
import json
import lzma
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest
from pyarrow import parquet

from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.data.read.raw_row import parse_row
from opensloth_core.data.row import Rejected, Row
from opensloth_core.errors import DataError

NUM_MUTATIONS = 60
ROWS = [
    {"a": f"é{n}", "m": [{"role": "user", "content": 'x,"y"'}], "n": None if n % 3 else n} for n in range(60)
]
TABLE = pa.Table.from_pylist(ROWS)
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
INSERTED = [b"\0", b"\xff\xfe", b'"', b"\n", b"\r\n", b"{", b"]", b"[", b",", b"\\ud800", b"PAR1"]


def as_parquet(**options: object) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(TABLE, sink, **options)
    return sink.getvalue()


def as_arrow(is_stream: bool) -> bytes:
    sink = io.BytesIO()
    open_writer = pa.ipc.new_stream if is_stream else pa.ipc.new_file
    with open_writer(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=20)
    return sink.getvalue()


CONTENT = {
    "lines.jsonl": LINES,
    "list.json": json.dumps(ROWS, indent=1).encode(),
    "table.csv": ("a,b\n" + '"x ""q"", \ny",2\n' * 40).encode(),
    "text.txt": LINES.replace(b"{", b"z"),
    "plain.parquet": as_parquet(),
    "checked.parquet": as_parquet(compression="zstd", write_page_checksum=True),
    "file.arrow": as_arrow(is_stream=False),
    "stream.arrow": as_arrow(is_stream=True),
    "lines.jsonl.gz": gzip.compress(LINES),
    "lines.jsonl.xz": lzma.compress(LINES),
    "lines.jsonl.bz2": bz2.compress(LINES),
    "lines.jsonl.zst": bytes(pa.compress(LINES, codec="zstd", asbytes=True)),
}


def damaged(content: bytes, random: Random) -> bytes:
    result = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 5])):
        position = random.randrange(len(result) + 1)
        match random.randrange(4):
            case 0:
                result[position : position + 1] = random.randbytes(1)
            case 1:
                del result[position:]
            case 2:
                del result[position : position + random.randrange(1, 50)]
            case _:
                result[position:position] = random.choice(INSERTED)
    return bytes(result)


@pytest.mark.parametrize("name", CONTENT)
def test_damage_of_any_kind_is_told_in_rows_or_in_one_line(tmp_path: Path, name: str) -> None:
    random = Random(name)
    path = tmp_path / name
    for _ in range(NUM_MUTATIONS):
        path.write_bytes(damaged(CONTENT[name], random))
        try:
            rows = [row for file in find_inputs([str(path)], None) for row in InputReader(file)]
        except DataError as err:
            assert str(err).startswith(str(path))
            assert "\n" not in str(err)
        else:
            parsed = [row if isinstance(row, Rejected) else parse_row(row) for row in rows]
            assert all(isinstance(row, Row | Rejected) for row in parsed)
