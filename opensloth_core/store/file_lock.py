"""Locks on files (flock): the kernel lets go of them when their process ends, however it ends.

A lock belongs to the file that was opened, not to its name, so a lock file that may be removed is looked up
again once it is locked.
"""

import fcntl
import os
from pathlib import Path


def lock_file(path: Path, wait: bool) -> int | None:
    """Lock a file, which is created where it is missing; closing the descriptor lets go of it.

    Args:
        wait: whether to wait for whoever holds it.

    Returns:
        A descriptor, or None when another holds the file and `wait` is false.

    Raises:
        OSError: the file cannot be opened, or its file system has no locks.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # removed by the one who held it


def is_held(path: Path) -> bool:
    """Whether a process holds a lock file; nobody does where it is missing.

    Raises:
        OSError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two that only look do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
