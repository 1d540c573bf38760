"""One pass over one file: early ends, changes under way, progress and digest."""

import os
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from opensloth_core.data.read.fingerprint import fingerprint
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.errors import DataError


def write(folder: Path, kind: str, num_rows: int = 20_000) -> InputFile:
    path = folder / f"a.{kind}"
    table = pa.table({"a": [f"row {n}" for n in range(num_rows)]})
    match kind:
        case "parquet":
            parquet.write_table(table, path)
        case "arrow":
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table, max_chunksize=1000)
        case "stream":
            with pa.ipc.new_stream(path, table.schema) as writer:
                writer.write_table(table, max_chunksize=1000)
        case "json":
            path.write_text("[" + ",\n".join(f'{{"a": "row {n}"}}' for n in range(num_rows)) + "]")
        case "csv":
            path.write_text("a\n" + "".join(f"row {n}\n" for n in range(num_rows)))
        case "txt":
            path.write_text("".join(f"row {n}\n" for n in range(num_rows)))
        case _:
            path.write_text("".join(f'{{"a": "row {n}"}}\n' for n in range(num_rows)))
    (file,) = find_inputs([str(path)], None)
    return file


KINDS = ["jsonl", "json", "csv", "txt", "parquet", "arrow", "stream"]


def num_open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("kind", KINDS)
def test_digest_and_progress_after_the_last_row_are_those_of_the_file(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path, kind)
    reader = InputReader(file)
    seen = [reader.bytes_read for _ in reader]
    assert len(seen) == 20_000
    assert seen == sorted(seen)
    assert reader.bytes_read == reader.size_bytes == Path(file.url).stat().st_size
    assert reader.digest == fingerprint(file)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files in /proc")
@pytest.mark.parametrize("kind", KINDS)
def test_stopping_early_reads_little_and_leaves_nothing_open(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path, kind, 100_000)
    list(islice(InputReader(file), 1))
    before = num_open_files()
    reader = InputReader(file)
    rows = iter(reader)
    assert len(list(islice(rows, 1000))) == 1000
    assert num_open_files() > before
    del rows
    assert num_open_files() == before
    assert reader.bytes_read < file.size_bytes


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_written_to_before_its_end_was_read_is_noticed(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path, kind, 100_000)
    before = fingerprint(file)
    reader = InputReader(file)
    rows = iter(reader)
    next(rows)
    content = bytearray(Path(file.url).read_bytes())
    content[-20:-10] = b"overwrites"
    with Path(file.url).open("r+b") as written:
        written.write(content)
    try:
        for _ in rows:
            pass
    except DataError:
        return
    assert reader.digest != before


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_replaced_before_reading_gives_another_digest(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path, kind)
    before = fingerprint(file)
    write(tmp_path, kind, 30_000)
    reader = InputReader(file)
    assert sum(1 for _ in reader) == 30_000
    assert reader.digest != before


def test_parquet_written_to_while_it_is_read_is_one_clear_line(tmp_path: Path) -> None:
    file = write(tmp_path, "parquet")
    rows = iter(InputReader(file))
    next(rows)
    os.utime(file.url, ns=(1, 1))
    with pytest.raises(DataError, match=r"changed while it was being read; run the command again$"):
        list(rows)


def test_a_file_that_is_gone_is_one_clear_line(tmp_path: Path) -> None:
    file = write(tmp_path, "jsonl")
    Path(file.url).unlink()
    with pytest.raises(DataError, match=r"a\.jsonl: no such file$"):
        list(InputReader(file))


def test_the_digest_is_not_known_before_the_last_row(tmp_path: Path) -> None:
    reader = InputReader(write(tmp_path, "jsonl"))
    next(iter(reader))
    with pytest.raises(AssertionError):
        _ = reader.digest
