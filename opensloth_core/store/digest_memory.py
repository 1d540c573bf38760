"""Digests of files that have not changed since they were hashed, remembered the way git's index does it.

A file is known by (device, inode, size, mtime_ns, ctime_ns). One written to within the clock's grain of the
moment of hashing is not remembered, since a write right after it could leave all five as they are.

    store/digests/<device>-<inode>      {"digest": "...", "check": "..."}
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

from opensloth_core.errors import DataError
from opensloth_core.store.digest import file_digest
from opensloth_core.store.home import home_dir

GRAIN_SECONDS = 2
"""Coarsest step in which a file system in use counts time: FAT's."""

Identity = tuple[int, int, int, int, int]

_writes = ContextVar("writes", default=True)


@contextlib.contextmanager
def nothing_remembered() -> Iterator[None]:
    """Within, digests are recalled and none is written down."""
    token = _writes.set(False)
    try:
        yield
    finally:
        _writes.reset(token)


def remembered_digest(path: Path, hash_file: Callable[[Path], str] = file_digest) -> str:
    """BLAKE2b-256 of a file's bytes in hex; of an unchanged file without reading it.

    A memory that is damaged or cannot be written only costs time.

    Args:
        path: the file.
        hash_file: how a file that is not remembered is hashed.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    before = _identity(path)
    if digest := _recalled(before):
        return digest
    started_ns = time.time_ns()
    digest = hash_file(path)
    *_, mtime_ns, ctime_ns = before
    if _identity(path) == before and max(mtime_ns, ctime_ns) < started_ns - GRAIN_SECONDS * 10**9:
        _remember(before, digest)
    return digest


def _identity(path: Path) -> Identity:
    try:
        status = path.stat()
    except FileNotFoundError as err:
        raise DataError(f"{path}: no such file") from err
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {err.strerror}") from err
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _recalled(identity: Identity) -> str | None:
    try:
        memory = json.loads(_memory_path(identity).read_bytes())
        digest, check = memory["digest"], memory["check"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    # A wrong digest would make every run say that its input changed.
    return digest if isinstance(digest, str) and check == _check(identity, digest) else None


def _remember(identity: Identity, digest: str) -> None:
    if not _writes.get():
        return
    memory = {"digest": digest, "check": _check(identity, digest)}
    path = _memory_path(identity)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(memory, file)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise


def _check(identity: Identity, digest: str) -> str:
    return hashlib.blake2b(json.dumps([*identity, digest]).encode(), digest_size=16).hexdigest()


def _memory_path(identity: Identity) -> Path:
    device, inode, *_ = identity
    return home_dir() / "store" / "digests" / f"{device}-{inode}"
