"""Compressed input: every format in every packing, and what is cut off or damaged."""

import bz2
import gzip
import hashlib
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.data.read.stored_bytes import StoredBytes

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda content: bytes(pa.compress(content, codec="zstd", asbytes=True)),
    "xz": lzma.compress,
    "bz2": bz2.compress,
}
VALUES = [{"a": f"é{n * n}"} for n in range(3000)]


def as_parquet() -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(VALUES), sink)
    return sink.getvalue()


def as_stream() -> bytes:
    sink = io.BytesIO()
    table = pa.Table.from_pylist(VALUES)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


CONTENT: dict[str, bytes] = {
    "jsonl": "".join(f'{{"a": "{row["a"]}"}}\n' for row in VALUES).encode(),
    "json": ("[" + ",\n".join(f'{{"a": "{row["a"]}"}}' for row in VALUES) + "]").encode(),
    "csv": ("a\n" + "".join(f"{row['a']}\n" for row in VALUES)).encode(),
    "parquet": as_parquet(),
    "arrow": as_stream(),
}


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("kind", CONTENT)
def test_every_format_is_read_out_of_every_packing(
    tmp_path: Path, values: Callable[..., list[object]], kind: str, packing: str
) -> None:
    path = tmp_path / f"data.{kind}.{packing}"
    path.write_bytes(PACK[packing](CONTENT[kind]))
    assert values(path) == VALUES


@pytest.mark.parametrize("packing", PACK)
def test_the_packing_is_found_from_the_content_not_from_the_name(
    tmp_path: Path, values: Callable[..., list[object]], packing: str
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(PACK[packing](CONTENT["jsonl"]))
    assert values(path) == VALUES


@pytest.mark.parametrize("packing", PACK)
def test_parts_packed_one_after_the_other_are_all_read(
    tmp_path: Path, values: Callable[..., list[object]], packing: str
) -> None:
    path = tmp_path / "data"
    path.write_bytes(PACK[packing](CONTENT["jsonl"]) + PACK[packing](CONTENT["jsonl"]))
    assert values(path) == VALUES + VALUES


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("cut", [12, 0.5, -4, -1])
def test_what_is_cut_off_is_one_clear_line_and_no_half_read(
    tmp_path: Path, refused: Callable[..., str], kind: str, packing: str, cut: float
) -> None:
    path = tmp_path / f"data.{kind}.{packing}"
    packed = PACK[packing](CONTENT[kind])
    path.write_bytes(packed[: int(len(packed) * cut) if cut == 0.5 else int(cut)])
    message = refused(path)
    assert message.startswith(f"{path.name}: its {packing} data is cut off or damaged (")
    assert message.endswith("); fetch the file again")


@pytest.mark.parametrize("packing", ["gz", "xz", "bz2"])  # in zst a checksum is optional
def test_a_flipped_byte_is_noticed(tmp_path: Path, refused: Callable[..., str], packing: str) -> None:
    path = tmp_path / "data"
    packed = bytearray(PACK[packing](CONTENT["jsonl"]))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)
    assert "cut off or damaged" in refused(path)


@pytest.mark.parametrize("packing", [None, *PACK])
def test_digest_and_progress_are_of_the_stored_bytes(tmp_path: Path, packing: str | None) -> None:
    path = tmp_path / "data"
    stored = PACK[packing](CONTENT["jsonl"]) if packing else CONTENT["jsonl"]
    path.write_bytes(stored)
    (file,) = find_inputs([str(path)], None)
    reader = InputReader(file)
    assert sum(1 for _ in reader) == 3000
    assert reader.digest == hashlib.blake2b(stored, digest_size=32).hexdigest()
    assert reader.bytes_read == reader.size_bytes == len(stored)


def test_reads_are_filled_though_the_source_gives_little_at_a_time() -> None:
    class Small(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(3, size if size is not None and size >= 0 else 3))

    stored = StoredBytes(Small(b"0123456789"), "x")
    assert stored.read(8) == b"01234567"
    assert stored.read(8) == b"89"
    assert stored.num_read == 10
    assert stored.digest() == hashlib.blake2b(b"0123456789", digest_size=32).hexdigest()
