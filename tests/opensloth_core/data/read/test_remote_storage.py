"""URLs: a file system in memory, and a web server on the loopback."""

import gzip
import os
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import fsspec
import pyarrow as pa
import pytest
from datasets import Dataset
from pyarrow import parquet

from opensloth_core.data.read.fingerprint import fingerprint, input_digest
from opensloth_core.data.read.inputs import InputReader, find_inputs

Values = Callable[..., list[object]]
Refused = Callable[..., str]


@pytest.fixture
def memory() -> Iterator[tuple[Any, str]]:
    """The file system in memory, and the URL of an empty folder in it."""
    folder = uuid.uuid4().hex
    storage = fsspec.filesystem("memory")
    yield storage, f"memory://{folder}"
    if storage.exists(folder):
        storage.rm(f"/{folder}", recursive=True)


def fill(memory: tuple[Any, str], files: dict[str, bytes]) -> str:
    storage, url = memory
    for name, content in files.items():
        storage.pipe(f"{url}/{name}", content)
    return url


def table_of(num_rows: int) -> pa.Table:
    return pa.table({"a": list(range(num_rows))})


def test_files_folders_and_globs_are_found_behind_a_url(memory: Any, values: Values) -> None:
    url = fill(
        memory, {"b.jsonl": b'{"a": 2}', "in/a.jsonl.gz": gzip.compress(b'{"a": 1}'), "README.md": b"x"}
    )
    assert values(f"{url}/b.jsonl") == [{"a": 2}]
    assert values(url) == [{"a": 2}, {"a": 1}]
    assert values(f"{url}/*.jsonl") == [{"a": 2}]
    assert values(f"{url}/**/*.jsonl*") == [{"a": 2}, {"a": 1}]


def test_the_splits_of_a_remote_folder_are_found(memory: Any, values: Values, refused: Refused) -> None:
    url = fill(memory, {"train.jsonl": b'{"a": 1}', "test.jsonl": b'{"a": 2}'})
    assert values(url) == [{"a": 1}]
    assert values(url, split="test") == [{"a": 2}]
    assert refused(url, split="dev") == f"{url}: has no split 'dev'; it has test, train"


def test_a_saved_data_set_is_read_behind_a_url(memory: Any, values: Values) -> None:
    _, url = memory
    Dataset.from_list([{"a": n} for n in range(5)]).save_to_disk(f"{url}/saved", num_shards=2)
    assert values(f"{url}/saved") == [{"a": n} for n in range(5)]


def test_parquet_is_read_behind_a_url(memory: Any, values: Values) -> None:
    storage, url = memory
    with storage.open(f"{url}/a.parquet", "wb") as file:
        parquet.write_table(table_of(3), file)
    assert values(f"{url}/a.parquet") == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_a_file_named_twice_in_two_spellings_is_noticed(memory: Any, refused: Refused) -> None:
    url = fill(memory, {"a.jsonl": b'{"a": 1}'})
    assert refused(f"{url}/a.jsonl", f"{url}/*.jsonl").endswith("; name each file once")


def test_a_member_of_an_archive_is_read_through_a_chain_of_urls(tmp_path: Path, values: Values) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/a.jsonl", '{"a": 1}\n')
    assert values(f"zip://in/a.jsonl::file://{tmp_path}/a.zip") == [{"a": 1}]
    assert values(f"zip://in/*.jsonl::file://{tmp_path}/a.zip") == [{"a": 1}]


def test_what_is_not_there_is_one_clear_line(memory: Any, refused: Refused) -> None:
    _, url = memory
    assert refused(f"{url}/a.jsonl") == f"{url}/a.jsonl: no such file"
    assert refused(f"{url}/*.jsonl") == f"{url}/*.jsonl: matches no file"


def test_a_protocol_without_its_package_names_the_package(refused: Refused) -> None:
    if find_spec("dropboxdrivefs"):
        pytest.skip("dropboxdrivefs is installed")
    assert refused("dropbox://a.jsonl") == (
        "dropbox://a.jsonl: dropbox:// needs a package that is missing: pip install dropboxdrivefs"
    )


def test_an_unknown_protocol_is_one_clear_line(refused: Refused) -> None:
    assert refused("foo://a.jsonl") == "foo://a.jsonl: foo:// is no protocol that fsspec knows"


def test_a_web_server_gives_lines_and_parquet(served: tuple[Path, str], values: Values) -> None:
    folder, address = served
    (folder / "a.jsonl").write_text('{"a": 1}\n' * 100_000)
    assert values(f"{address}/a.jsonl") == [{"a": 1}] * 100_000
    # This server knows no ranges, so the file is fetched whole.
    parquet.write_table(table_of(100_000), folder / "a.parquet")
    assert values(f"{address}/a.parquet") == [{"a": n} for n in range(100_000)]


def test_the_query_of_a_web_address_is_no_part_of_the_name(served: tuple[Path, str]) -> None:
    folder, address = served
    (folder / "a.csv").write_text("a\n1\n")
    (file,) = find_inputs([f"{address}/a.csv?download=true"], None)
    assert (file.name, file.format) == ("a.csv", "csv")


def test_a_web_server_s_error_is_one_clear_line(served: tuple[Path, str], refused: Refused) -> None:
    _, address = served
    assert refused(f"{address}/none.jsonl") == f"{address}/none.jsonl: no such file"


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_transfer_that_breaks_off_is_one_clear_line_and_no_half_read(
    served: tuple[Path, str], refused: Refused, name: str
) -> None:
    folder, address = served
    (folder / "cut").mkdir()
    if name == "a.parquet":
        parquet.write_table(table_of(500_000), folder / "cut" / name)
    else:
        (folder / "cut" / name).write_text('{"a": 1}\n' * 500_000)
    assert refused(f"{address}/cut/{name}").startswith(f"{address}/cut/{name}: cannot be read: ")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/a.jsonl", "https://user:word@no-host.invalid/a.jsonl?key=1"]
)
def test_a_server_that_is_not_there_is_one_clear_line_at_once_and_without_secrets(
    refused: Refused, url: str
) -> None:
    started = time.monotonic()
    message = refused(url)
    assert time.monotonic() - started < 10
    assert ": cannot be read: " in message
    assert "word" not in message
    assert "key" not in message


def test_the_fingerprint_of_a_remote_file_is_its_etag_and_else_that_of_its_bytes(
    served: tuple[Path, str],
) -> None:
    folder, address = served
    (folder / "tagged").mkdir()
    for name in ("a.jsonl", "tagged/a.jsonl"):
        (folder / name).write_text('{"a": 1}\n')
        (file,) = find_inputs([f"{address}/{name}"], None)
        first = fingerprint(file)
        assert first.startswith("etag ") is name.startswith("tagged")
        reader = InputReader(file)
        assert len(list(reader)) == 1
        assert reader.digest == first
        (folder / name).write_text('{"a": 2}\n')
        assert fingerprint(file) != first


def test_files_that_a_server_gives_the_same_etag_are_not_taken_for_each_other(
    served: tuple[Path, str],
) -> None:
    folder, address = served
    (folder / "timed").mkdir()
    for name in ("a", "b"):
        path = folder / "timed" / f"{name}.jsonl"
        path.write_text(f'{{"a": "{name}"}}\n')
        os.utime(path, (1_700_000_000, 1_700_000_000))
    first, second = (find_inputs([f"{address}/timed/{name}.jsonl"], None) for name in ("a", "b"))
    assert fingerprint(first[0]).split(" at ")[0] == fingerprint(second[0]).split(" at ")[0]
    assert input_digest(first) != input_digest(second)
    assert input_digest(first) == input_digest(first)


def test_a_remote_file_that_changes_while_it_is_read_gives_another_digest(served: tuple[Path, str]) -> None:
    folder, address = served
    (folder / "tagged").mkdir()
    path = folder / "tagged" / "a.jsonl"
    path.write_text('{"a": 1}\n' * 1000)
    (file,) = find_inputs([f"{address}/tagged/a.jsonl"], None)
    before = fingerprint(file)
    reader = InputReader(file)
    rows = iter(reader)
    next(rows)
    path.write_text('{"a": 2}\n' * 1000)
    assert len(list(rows)) == 999
    assert reader.digest != before
