"""The lock of a run: at most one process drives it."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opensloth_core.errors import ConfigError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.file_lock import is_held

ATTEMPTS = 5
PAUSE_SECONDS = 0.05


@contextmanager
def run_lock(run: RunDirectory) -> Iterator[None]:
    """Hold a run while driving it; the kernel lets go of it when this process ends, however it ends.

    The file says which process that is. It stays behind, since removing it would let two processes each lock
    a file of their own.

    Raises:
        ConfigError: another process, or another part of this one, drives the run.
    """
    descriptor = os.open(run.lock_path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _locked(descriptor):
            raise ConfigError(
                f"run {run.path.name} is still running{_holder(descriptor)}; "
                "wait for it, stop it, or start a new run"
            )
        with contextlib.suppress(OSError):  # on a full disk, nobody is named to those who find it locked
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_running(run: RunDirectory) -> bool:
    """Whether a process drives the run right now."""
    return is_held(run.lock_path)


def is_starting(run: RunDirectory) -> bool:
    """Whether nobody has driven the run yet, and somebody lives who is going to.

    Ask for this before `is_running`, which a run becomes before it ceases to be starting.
    """
    paths = (run.creator_path, run.session_path)
    return not run.lock_path.exists() and any(is_held(path) for path in paths)


def _locked(descriptor: int) -> bool:
    # Somebody may just be looking whether the run is running.
    for _ in range(ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False


def _holder(descriptor: int) -> str:
    process = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
    return f" (process {process})" if process else ""
