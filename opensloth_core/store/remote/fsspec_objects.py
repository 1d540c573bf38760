"""A remote store behind any protocol of fsspec."""

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from opensloth_core.data.read.place import shown
from opensloth_core.store.remote.objects import BLOCK_BYTES, PROBES, Listed, Stored
from opensloth_core.store.remote.reaching import ObjectMissing, reaching

_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")
"""Fields of fsspec's `info` with the time of the last change, as the protocols name them."""

_MEMORY_LOCK = threading.RLock()


class FsspecObjects:
    """Objects of one fsspec file system.

    fsspec has no conditional write that all protocols honour. Objects in memory are seen by one process, so
    there a lock makes the check and the write one step. Elsewhere a moment is left between the two: two
    machines may hold a lease at once and both do the work. Readers still see whole artifacts alone, since
    the record that is written last names all the objects of one of them.
    """

    def __init__(self, url: str, **options: Any) -> None:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        self.url = url
        # Listings that another machine has outdated would hide its work.
        self._fs, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **options)
        self._root = str(root).rstrip("/")
        self._in_memory = url.startswith("memory://")
        self._lock: contextlib.AbstractContextManager[Any] = (
            _MEMORY_LOCK if self._in_memory else contextlib.nullcontext()
        )

    @property
    def is_conditional(self) -> bool:
        return self._in_memory

    def read(self, path: str) -> Stored | None:
        with reaching(self.url):
            try:
                data: bytes = self._fs.cat_file(self._full(path))
            except FileNotFoundError:
                return None
        return Stored(data, hashlib.blake2b(data, digest_size=16).hexdigest())

    def write_if(self, path: str, data: bytes, version: str | None) -> str | None:
        with self._lock:
            if self._version(path) != version:
                return None
            with reaching(self.url):
                self._make_parent(path)
                self._fs.pipe_file(self._full(path), data)
            stored = self.read(path)
            return stored.version if stored and stored.data == data else None

    def delete_if(self, path: str, version: str) -> bool:
        with self._lock:
            if self._version(path) != version:
                return False
            self.delete([path])
            return True

    def upload(self, source: Path, path: str) -> None:
        with reaching(self.url):
            self._make_parent(path)
            self._fs.put_file(str(source), self._full(path))

    def blocks(self, path: str) -> Iterator[bytes]:
        with reaching(self.url):
            try:
                file = self._fs.open(self._full(path), "rb", block_size=BLOCK_BYTES)
            except FileNotFoundError:
                raise ObjectMissing(f"{shown(self.url)}/{path}: no such object") from None
        with file:
            while True:
                with reaching(self.url):
                    block: bytes = file.read(BLOCK_BYTES)
                if not block:
                    return
                yield block

    def size_bytes(self, path: str) -> int | None:
        with reaching(self.url):
            try:
                return int(self._fs.info(self._full(path))["size"])
            except FileNotFoundError:
                return None

    def listing(self, folder: str) -> dict[str, Listed]:
        with reaching(self.url):
            try:
                found = self._fs.find(self._full(folder), detail=True)
            except FileNotFoundError:
                return {}
        return {
            path.removeprefix(self._root).lstrip("/"): Listed(int(info.get("size") or 0), _modified(info))
            for path, info in found.items()
        }

    def delete(self, paths: Sequence[str]) -> None:
        with reaching(self.url):
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(self._full(path))

    def abort_uploads(self, folder: str, before: float, is_live: Callable[[str], bool]) -> int:
        return 0

    def now(self) -> float:
        path = f"{PROBES}/{secrets.token_hex(8)}"
        with reaching(self.url):
            self._make_parent(path)
            self._fs.pipe_file(self._full(path), b"probe")
            try:
                return _modified(self._fs.info(self._full(path)))
            finally:
                self._fs.rm_file(self._full(path))

    def _version(self, path: str) -> str | None:
        stored = self.read(path)
        return stored.version if stored else None

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _make_parent(self, path: str) -> None:
        self._fs.makedirs(self._full(path).rpartition("/")[0], exist_ok=True)


def _modified(info: Mapping[str, Any]) -> float:
    """Unix seconds; the present where the protocol does not say, so that nothing looks old by mistake."""
    value = next((info[name] for name in _TIMES if info.get(name)), None)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value).timestamp()
        return time.time()
    return time.time() if value is None else float(value)
