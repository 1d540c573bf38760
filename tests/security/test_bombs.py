"""Small files that stand for gigabytes end in one line, in memory that does not depend on what they claim.

Each is read in a process of its own, whose growth is measured. A row is at most 64 MiB; what parsing it or
reading a batch may take is 1 GiB, and Arrow's allocator may hold another that it had before.
"""

import bz2
import gzip
import json
import lzma
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MOST_BYTES = 2 << 30
MIB = 1 << 20
BLOCK = b"a" * MIB
LONG = "a" * (60 * MIB)
GOOD = b'{"text": "good"}\n'
TOO_LONG_LINE = "a line of more than 64 MiB"
TOO_MUCH_MEMORY = "a batch of its rows takes more than 1024 MiB of memory"

Outcome = dict[str, Any]


def outcome(source: str | Path, *words: str) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.read_child", str(source), *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def write_long_line(file: BinaryIO, head: bytes = b'{"text": "', tail: bytes = b'"}\n') -> None:
    """One line of 1 GiB."""
    file.write(head)
    for _ in range(1024):
        file.write(BLOCK)
    file.write(tail)


def gz_line(path: Path) -> None:
    with gzip.open(path, "wb", 1) as file:
        write_long_line(file)  # type: ignore[arg-type]


def xz_line(path: Path) -> None:
    with lzma.open(path, "wb", preset=0) as file:
        write_long_line(file)  # type: ignore[arg-type]


def bz2_csv(path: Path) -> None:
    with bz2.open(path, "wb", 1) as file:
        file.write(b"text,b\n" + BLOCK * 128)


def zst_array(path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        write_long_line(file, b'[{"text": "', b'"}]')


def zip_line(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.jsonl", "w") as file:
        write_long_line(file)  # type: ignore[arg-type]


def many_entries(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(30_000):
            archive.writestr(f"{number}.jsonl", GOOD)


def commas(path: Path) -> None:
    with gzip.open(path, "wb", 1) as file:
        file.write(b"text,b\ngood,2\n" + b"," * (60 * MIB) + b"\n")


def comma_header(path: Path) -> None:
    with gzip.open(path, "wb", 1) as file:
        file.write(b"," * (60 * MIB) + b"\n1,2\n")


def open_quote(path: Path) -> None:
    with gzip.open(path, "wb", 1) as file:
        file.write(b'text,b\n1,"' + b"x\n" * (128 * MIB) + b'"\n')


def run_length_parquet(path: Path) -> None:
    long_list = pa.ListArray.from_arrays(
        pa.array([0, 200_000_000], pa.int32()), pa.nulls(200_000_000, pa.int8())
    )
    pq.write_table(pa.table({"text": ["good"], "n": long_list}), path, compression="zstd")


def compressed_arrow(path: Path) -> None:
    _write_arrow(path, pa.table({"text": ["a" * MIB] * 1500}))


def dictionary_arrow(path: Path) -> None:
    _write_arrow(path, pa.table({"text": _repeated(18)}))


def view_arrow(path: Path) -> None:
    content = LONG.encode()
    views = struct.pack("<i4sii", len(content), content[:4], 0, 0) * 18
    array = pa.Array.from_buffers(pa.string_view(), 18, [None, pa.py_buffer(views), pa.py_buffer(content)])
    _write_arrow(path, pa.table({"text": array}))


def _repeated(num_rows: int) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array([0] * num_rows, pa.int32()), pa.array([LONG]))


def _write_arrow(path: Path, table: Any) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table)


def text_of(*parts: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text("".join(parts))

    return write


CASES: dict[str, tuple[str, Callable[[Path], None], str | dict[str, int]]] = {
    "a line of 1 GiB in gz": ("a.jsonl.gz", gz_line, TOO_LONG_LINE),
    "a line of 1 GiB in xz": ("a.jsonl.xz", xz_line, TOO_LONG_LINE),
    "a line of 1 GiB in zip": ("a.zip", zip_line, TOO_LONG_LINE),
    "a csv line of 128 MiB in bz2": ("a.csv.bz2", bz2_csv, TOO_LONG_LINE),
    "an array's string of 1 GiB in zst": ("a.json.zst", zst_array, "an element of more than 64 MiB"),
    "30,000 files in a zip": ("b.zip", many_entries, "holds 30,000 files, more than 1,000; unpack it"),
    "60 million cells": ("c.csv.gz", commas, {"read": 1, "wrong number of values": 1}),
    "60 million columns": ("d.csv.gz", comma_header, "the header has more than 10,000 columns"),
    "a quote of 256 MiB": ("e.csv.gz", open_quote, "a quote in this row is never closed"),
    "a million lists in one another": (
        "f.jsonl",
        text_of(GOOD.decode(), '{"text": ', "[" * 1_000_000, "]" * 1_000_000, "}"),
        {"read": 1, "not valid JSON": 1},
    ),
    "a million lists in one another, in an array": (
        "f.json",
        text_of('[{"text": ', "[" * 1_000_000, "]" * 1_000_000, "}]"),
        "nested too deeply",
    ),
    "20 million objects in 60 MB": (
        "g.jsonl",
        text_of(GOOD.decode(), '{"text": [', "{}," * 20_000_000, "{}]}"),
        {"read": 1, "too long": 1},
    ),
    "20 million objects in an array of 60 MB": (
        "g.json",
        text_of('[{"text": "good"},{"text": [', "{}," * 20_000_000, "{}]}]"),
        "parsing an element takes more than 1024 MiB",
    ),
    "a list of 200 million numbers in 800 bytes": ("i.parquet", run_length_parquet, TOO_MUCH_MEMORY),
    "a batch of 1.5 GB in 50 kB": ("j.arrow", compressed_arrow, TOO_MUCH_MEMORY),
    "a dictionary of 60 MiB for 18 rows": ("k.arrow", dictionary_arrow, {"read": 18}),
    "18 views of 60 MiB": ("l.arrow", view_arrow, {"read": 18}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bomb_ends_in_one_line_and_in_bounded_memory(case: str, tmp_path: Path) -> None:
    name, write, expected = CASES[case]
    path = tmp_path / name
    write(path)
    # A gigabyte of rows that are good takes long, and preflight reads them in the same way.
    words = ["once"] if expected == {"read": 18} else []
    found = outcome(f"zip://*.jsonl::file://{path}" if path.suffix == ".zip" else path, *words)
    path.unlink()
    if isinstance(expected, str):
        assert found["error"] is not None
        assert expected in found["error"]
        assert name in found["error"]
        assert "\n" not in found["error"]
    else:
        assert found["rows"] == expected
    assert found["grown_bytes"] < MOST_BYTES


def test_many_long_rows_are_held_one_after_the_other(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", 1) as file:
        for _ in range(15):
            file.write(b'{"text": "' + BLOCK * 60 + b'"}\n')
    found = outcome(tmp_path / "a.jsonl.gz")
    assert found["rows"] == {"read": 15}
    assert found["grown_bytes"] < MIB * 600


def test_entries_of_an_archive_that_lead_out_of_it_are_written_nowhere(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with zipfile.ZipFile(tmp_path / "sub" / "a.zip", "w") as archive:
        archive.writestr("../escaped.jsonl", GOOD)
    before = set(tmp_path.rglob("*"))
    outcome(f"zip://::file://{tmp_path}/sub/a.zip")
    outcome(f"zip://../escaped.jsonl::file://{tmp_path}/sub/a.zip")
    assert set(tmp_path.rglob("*")) == before


def test_xz_that_asks_for_a_dictionary_of_a_gibibyte_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    try:
        packed = lzma.compress(GOOD, lzma.FORMAT_XZ, filters=filters)
    except MemoryError:
        pytest.skip("writing it takes more memory than there is")
    (tmp_path / "a.jsonl.xz").write_bytes(packed)
    found = outcome(tmp_path / "a.jsonl.xz")
    assert "Memory usage limit exceeded" in found["error"]
