"""Reading through the public interface: find the input, read its raw rows, parse them."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.data.read.raw_row import parse_row
from opensloth_core.data.row import Rejected, Row
from opensloth_core.errors import DataError

Rows = Callable[..., list[Row | Rejected]]
Refused = Callable[..., str]


@pytest.fixture
def rows() -> Rows:
    """All rows of the given sources."""

    def read(*sources: str | Path, split: str | None = None) -> list[Row | Rejected]:
        files = find_inputs([str(source) for source in sources], split)
        raw = [row for file in files for row in InputReader(file)]
        return [row if isinstance(row, Rejected) else parse_row(row) for row in raw]

    return read


@pytest.fixture
def values(rows: Rows) -> Callable[..., list[object]]:
    """All values of the given sources, none of which is rejected."""

    def read(*sources: str | Path, split: str | None = None) -> list[object]:
        found = rows(*sources, split=split)
        assert not [row for row in found if isinstance(row, Rejected)]
        return [row.value for row in found if isinstance(row, Row)]

    return read


@pytest.fixture
def refused(rows: Rows, tmp_path: Path) -> Refused:
    """The one line that reading ends with, without the test's folder."""

    def read(*sources: str | Path, split: str | None = None) -> str:
        with pytest.raises(DataError) as caught:
            rows(*sources, split=split)
        message = str(caught.value)
        assert "\n" not in message
        return message.replace(f"{tmp_path}/", "").replace(str(tmp_path), "FOLDER")

    return read


class _Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; under /cut/ only half of each file.

    Under /tagged/ it gives an etag of a file's bytes, under /timed/ one of its time and size, as nginx does.
    """

    def log_message(self, *args: object) -> None:
        pass

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        outputfile.write(content[: len(content) // 2] if "/cut/" in self.path else content)

    def end_headers(self) -> None:
        path = Path(self.translate_path(self.path))
        if "/tagged/" in self.path and path.is_file():
            self.send_header("ETag", f'"{hash(path.read_bytes()):x}"')
        if "/timed/" in self.path and path.is_file():
            self.send_header("ETag", f'"{int(path.stat().st_mtime):x}-{path.stat().st_size:x}"')
        super().end_headers()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a web server on the loopback gives its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
