"""A hub with one data set, `org/name`, on the loopback: what `datasets` asks of the real one."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"data/train.jsonl": b'{"a": 1}\n{"a": 2}\n', "data/test.jsonl": b'{"a": 3}\n'}

_API = "/api/datasets/org/name"
_TREE = f"{_API}/tree/{COMMIT}"
_CONTENT = f"/datasets/org/name/resolve/{COMMIT}/"


class _Hub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path in (_API, f"{_API}/revision/{COMMIT}", f"{_API}/revision/main"):
            self._json({"id": "org/name", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]})
        elif path.startswith(_API + "/revision/"):
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
        elif path.startswith(_TREE):
            self._json(self._tree(path.removeprefix(_TREE).strip("/")))
        elif path.startswith(_CONTENT) and path.removeprefix(_CONTENT) in FILES:
            content = FILES[path.removeprefix(_CONTENT)]
            self._send(200, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": COMMIT}, content)
        elif path.startswith(_CONTENT):
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            self._send(404, {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def _tree(self, folder: str) -> list[dict[str, Any]]:
        if not folder:
            return [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "data"}]
        return [
            {"type": "file", "oid": _oid(content), "size": len(content), "path": name}
            for name, content in FILES.items()
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
def hub_server() -> Iterator[str]:
    """Address of the running hub."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
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
