"""A hub with one data set or model, `org/name`, on the loopback: what its clients ask of the real one."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"data/train.jsonl": b'{"a": 1}\n{"a": 2}\n', "data/test.jsonl": b'{"a": 3}\n'}


class _Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: Mapping[str, bytes]
    kind: str
    content: str

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        api = f"/api/{self.kind}/org/name"
        tree = f"{api}/tree/{COMMIT}"
        content = f"{self.content}/org/name/resolve/"
        name = path.removeprefix(content).partition("/")[2]
        if path in (api, f"{api}/revision/{COMMIT}", f"{api}/revision/main"):
            siblings = [{"rfilename": name} for name in self.files]
            self._json({"id": "org/name", "sha": COMMIT, "siblings": siblings})
        elif path.startswith(api + "/revision/"):
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith(tree):
            self._json(self._tree(path.removeprefix(tree).strip("/")))
        elif path.startswith(content) and name in self.files:
            body = self.files[name]
            self._send(200, {"ETag": f'"{_oid(body)}"', "X-Repo-Commit": COMMIT}, body)
        elif path.startswith(content):
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            self._send(404, {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def _tree(self, folder: str) -> list[dict[str, Any]]:
        if not folder and self.kind == "datasets":
            return [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "data"}]
        return [
            {"type": "file", "oid": _oid(content), "size": len(content), "path": name}
            for name, content in self.files.items()
        ]

    def _json(self, value: object) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _send(self, code: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def hub_server(model: Mapping[str, bytes] | None = None) -> Iterator[str]:
    """Address of the running hub.

    Args:
        model: files of a model, by name; a data set is there without.
    """
    own = {"files": FILES, "kind": "datasets", "content": "/datasets"}
    if model is not None:
        own = {"files": model, "kind": "models", "content": ""}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), own))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
