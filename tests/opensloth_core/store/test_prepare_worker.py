"""What is worth another try when data is prepared, and what is the user's to mend."""

import errno
import gzip
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.data.read.place import reading
from opensloth_core.errors import DataError, StoreError
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.store.prepare_worker import TEMPORARY, is_temporary, main
from opensloth_core.store.prepared import find_prepared, prepared_key

ROWS = "".join(json.dumps({"question": f"What is {n}?", "answer": "That."}) + "\n" for n in range(500))


class Flaky(ThreadingHTTPServer):
    """A web server with one file, which fails in the way that `failure` says."""

    failure = ""
    content = ROWS.encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/a.jsonl"


class _Handler(BaseHTTPRequestHandler):
    server: Flaky

    def do_GET(self) -> None:
        failure, content = self.server.failure, self.server.content
        self.send_response(int(failure) if failure.isdecimal() else 200)
        self.send_header("Content-Length", "0" if failure.isdecimal() else str(len(content)))
        self.end_headers()
        if self.command == "GET" and not failure.isdecimal():
            self.wfile.write(content[: len(content) // 2] if failure == "cut" else content)
            if failure == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    with Flaky(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def error_of(source: object) -> DataError:
    """What reading all rows of a source ends with."""
    with pytest.raises(DataError) as caught:
        for file in find_inputs([str(source)], None):
            for _ in InputReader(file):
                pass
    return caught.value


@pytest.mark.parametrize("failure", ["cut", "500", "503", "429"])
def test_a_server_that_fails_is_worth_another_try(flaky: Flaky, failure: str) -> None:
    flaky.failure = failure
    assert is_temporary(error_of(flaky.url))


def test_compressed_rows_that_break_off_on_the_way_are_worth_another_try(flaky: Flaky) -> None:
    flaky.content = gzip.compress(
        b"".join(b'{"a": "%s"}\n' % os.urandom(99).hex().encode() for _ in range(999))
    )
    (file,) = find_inputs([flaky.url], None)
    flaky.failure = "cut"
    with pytest.raises(DataError) as caught:
        list(InputReader(file))
    assert is_temporary(caught.value)


def test_a_server_that_does_not_answer_is_worth_another_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert is_temporary(error_of(f"http://127.0.0.1:{port}/a.jsonl"))


def test_a_disk_that_fails_is_worth_another_try() -> None:
    # No memory of a process is at address 0, so that reading it is a real I/O error.
    error = error_of("/proc/self/mem")
    assert isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EIO
    assert is_temporary(error)


@pytest.mark.parametrize("failure", ["400", "401", "403", "404", "410"])
def test_what_a_server_refuses_is_not_worth_another_try(flaky: Flaky, failure: str) -> None:
    flaky.failure = failure
    assert not is_temporary(error_of(flaky.url))


@pytest.mark.parametrize(
    "number", [errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG]
)
def test_a_file_that_cannot_be_had_is_not_worth_another_try(number: int) -> None:
    with pytest.raises(DataError) as caught, reading("a.jsonl"):
        raise OSError(number, os.strerror(number))
    assert not is_temporary(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.parquet", "a.jsonl.xz"])
def test_a_damaged_file_is_not_worth_another_try(tmp_path: Path, name: str) -> None:
    starts = {
        "gz": gzip.compress(ROWS.encode())[:200],
        "parquet": b"PAR1" + bytes(99),
        "xz": b"\xfd7zXZ\0" + bytes(99),
    }
    path = tmp_path / name
    path.write_bytes(starts[name.rpartition(".")[2]])
    assert not is_temporary(error_of(path))


def test_a_preparation_whose_input_breaks_off_fails_for_now_and_is_done_the_next_time(
    home: Path, tiny_model_dir: Path, flaky: Flaky, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"data": flaky.url, "model": str(tiny_model_dir), "gpus": 1, "max_seq_length": 192}
    config = OpenSlothConfig.of(values)
    run = RunDirectory.create(config)
    key = prepared_key(config.preparation, tiny_model_dir, 1).digest
    run.write_launch(Launch(str(tiny_model_dir), ("cpu",), key))
    for flaky.failure in ("503", "cut"):
        with pytest.raises(StoreError, match="cannot be read"):
            main(run.path)
        assert capsys.readouterr().out.splitlines() == [TEMPORARY]
    flaky.failure = "404"
    with pytest.raises(DataError, match="no such file"):
        main(run.path)
    assert not capsys.readouterr().out
    flaky.failure = ""
    main(run.path)
    assert find_prepared(key)[0] is not None
