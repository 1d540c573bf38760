"""Whether the home can be written, and whether locks hold there."""

import fcntl
import os
import tempfile
import time
from pathlib import Path

from opensloth_core.doctor.finding import Finding, error, ok, warning
from opensloth_core.doctor.places import file_system, nearest_folder, store_dir
from opensloth_core.runs.report.numbers import duration

NAME = "store"
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "lustre")
_SLOW_SECONDS = 0.5
_WAY_OUT = "set OPENSLOTH_HOME to a folder you can write"


def check_store() -> Finding:
    """Writes, locks, renames and syncs a file where the store is, or will be."""
    folder = nearest_folder(store_dir())
    begun = time.perf_counter()
    try:
        problem = _try(folder)
    except OSError as err:
        return error(NAME, f"{folder}: cannot be written: {err.strerror or err}", _WAY_OUT)
    seconds = time.perf_counter() - begun
    if problem is not None:
        return error(
            NAME, f"{folder}: {problem}", "set OPENSLOTH_HOME to a local disk; NFS needs its lock service"
        )
    kind = file_system(folder)
    text = f"{folder} ({kind or 'unknown file system'}) can be written and locked"
    if seconds > _SLOW_SECONDS:
        return warning(NAME, f"{text}, slowly: {duration(seconds)} for one file", "a local disk is faster")
    if kind in _NETWORK:
        return warning(
            NAME, f"{text}; it is a network's", "a local disk is faster, OPENSLOTH_STORE shares data"
        )
    return ok(NAME, text)


def _try(folder: Path) -> str | None:
    """What does not work, in words, or None."""
    if not folder.is_dir():
        raise NotADirectoryError(20, "it is a file, not a folder")
    with tempfile.TemporaryDirectory(prefix=".opensloth-doctor-", dir=folder) as own:
        path = Path(own, "probe")
        holder = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        other = os.open(path, os.O_RDWR)
        try:
            os.write(holder, b"probe" * 1000)
            os.fsync(holder)
            try:
                fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as err:
                return f"its file system has no locks ({err.strerror})"
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                return "a lock there does not keep others out"
            path.rename(path.with_name("renamed"))
        finally:
            os.close(holder)
            os.close(other)
    return None
