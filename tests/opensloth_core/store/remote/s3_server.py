"""An S3 server on loopback: `python s3_server.py`; prints its port, and runs until it is ended.

moto's, with one thing added: moto checks a condition and writes in two steps, so of two requests at once both
may win; here requests are done one after another, once their bodies are there. Buckets whose name begins with
"loose-" ignore conditions, as some servers do; a part of an upload to one that begins with "slow-" takes 1 s.
"""

import io
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Environ = dict[str, Any]


class OneAtATime:
    """Gives requests to an application one after another."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"].startswith("/loose-"):
            environ.pop("HTTP_IF_MATCH", None)
            environ.pop("HTTP_IF_NONE_MATCH", None)
        stream, size = environ["wsgi.input"], environ.get("CONTENT_LENGTH")
        # A client that is stopped half way must not stop the others.
        ends_by_itself = environ.get("wsgi.input_terminated")
        body = stream.read(int(size)) if size else stream.read() if ends_by_itself else b""
        environ["wsgi.input"] = io.BytesIO(body)
        if environ["PATH_INFO"].startswith("/slow-") and "partNumber" in environ["QUERY_STRING"]:
            time.sleep(1)
        with self._lock:
            return list(self._app(environ, start_response))


class Quiet(WSGIRequestHandler):
    def log(self, *args: Any) -> None:
        pass


if __name__ == "__main__":
    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)
    server.serve_forever()
