"""A remote store in a folder that machines share, such as one on NFS."""

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from opensloth_core.store.durable import flush
from opensloth_core.store.file_lock import lock_file
from opensloth_core.store.remote.objects import BLOCK_BYTES, PROBES, Listed, Stored
from opensloth_core.store.remote.reaching import ObjectMissing, RemoteStoreError, reaching

_LOCK = ".lock"
_PARTIAL = ".partial-"
_LOCK_SECONDS = 30
_LOCK_POLL_SECONDS = 0.02


class FolderObjects:
    """Files under one folder.

    A condition is checked and the file renamed into place under one lock of the folder (flock, which NFS
    passes on to its server and which ends with the process that holds it). A process that is stopped in
    these few milliseconds makes the others give up after 30 s, not wait for ever.
    """

    is_conditional = True

    def __init__(self, root: Path) -> None:
        self.url = str(root)
        self._root = root

    def read(self, path: str) -> Stored | None:
        with reaching(self.url):
            self._check_mounted()
            try:
                data = (self._root / path).read_bytes()
            except FileNotFoundError:
                return None
        return Stored(data, _version(data))

    def write_if(self, path: str, data: bytes, version: str | None) -> str | None:
        with reaching(self.url), self._locked():
            if self._version(path) != version:
                return None
            self._put(path, data)
        return _version(data)

    def delete_if(self, path: str, version: str) -> bool:
        with reaching(self.url), self._locked():
            if self._version(path) != version:
                return False
            (self._root / path).unlink()
        return True

    def upload(self, source: Path, path: str) -> None:
        with reaching(self.url):
            partial = self._partial(path)
            try:
                shutil.copyfile(source, partial)
                self._place(partial, path)
            finally:
                partial.unlink(missing_ok=True)

    def blocks(self, path: str) -> Iterator[bytes]:
        with reaching(self.url):
            try:
                file = (self._root / path).open("rb")
            except FileNotFoundError:
                raise ObjectMissing(f"{self.url}/{path}: no such file") from None
        with file:
            while True:
                with reaching(self.url):
                    block = file.read(BLOCK_BYTES)
                if not block:
                    return
                yield block

    def size_bytes(self, path: str) -> int | None:
        with reaching(self.url):
            try:
                return (self._root / path).stat().st_size
            except FileNotFoundError:
                return None

    def listing(self, folder: str) -> dict[str, Listed]:
        found = {}
        with reaching(self.url):
            self._check_mounted()
            for parent, _, names in os.walk(self._root / folder):
                for name in names:
                    path = Path(parent, name)
                    with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                        status = path.stat()
                        relative = str(path.relative_to(self._root))
                        found[relative] = Listed(status.st_size, status.st_mtime)
        return found

    def delete(self, paths: Sequence[str]) -> None:
        with reaching(self.url):
            for path in paths:
                (self._root / path).unlink(missing_ok=True)
                # Its folder too, once that is empty.
                with contextlib.suppress(OSError):
                    (self._root / path).parent.rmdir()

    def abort_uploads(self, folder: str, before: float, is_live: Callable[[str], bool]) -> int:
        left = [
            path
            for path, file in self.listing(folder).items()
            if Path(path).name.startswith(_PARTIAL) and file.modified < before and not is_live(path)
        ]
        self.delete(left)
        return len(left)

    def now(self) -> float:
        with reaching(self.url):
            probe = self._partial(f"{PROBES}/{secrets.token_hex(8)}")
            probe.touch()
            try:
                return probe.stat().st_mtime
            finally:
                probe.unlink()

    def _version(self, path: str) -> str | None:
        stored = self.read(path)
        return stored.version if stored else None

    def _put(self, path: str, data: bytes) -> None:
        partial = self._partial(path)
        try:
            partial.write_bytes(data)
            self._place(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def _place(self, partial: Path, path: str) -> None:
        flush(partial)
        partial.rename(self._root / path)
        flush(partial.parent)

    def _partial(self, path: str) -> Path:
        self._check_mounted()
        target = self._root / path
        self._root.mkdir(exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.with_name(f"{_PARTIAL}{secrets.token_hex(8)}")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._check_mounted()
        self._root.mkdir(exist_ok=True)
        path, give_up = self._root / _LOCK, time.monotonic() + _LOCK_SECONDS
        while (descriptor := lock_file(path, wait=False)) is None:
            if time.monotonic() > give_up:
                raise RemoteStoreError(
                    f"{path}: locked by another process for {_LOCK_SECONDS} s; end that process if it is "
                    "stopped (`lslocks` names it), and run the command again"
                )
            time.sleep(_LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            os.close(descriptor)

    def _check_mounted(self) -> None:
        # A folder made where a share is to be mounted would quietly share nothing.
        if not self._root.parent.is_dir():
            raise RemoteStoreError(
                f"OPENSLOTH_STORE {self._root}: no folder {self._root.parent} to have it in; is it mounted?"
            )


def _version(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
