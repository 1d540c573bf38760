"""Versions that somebody reads: a lock on the manifest, which readers share and a removal needs alone.

The kernel lets go of it when the reader's process ends, however it ends.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.store.artifact import MANIFEST


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Keep a version's folder from being removed while the `with` block runs.

    Raises:
        StoreError: it was removed before.
    """
    path = folder / MANIFEST
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError as err:
        raise gone(folder) from err
    except OSError as err:
        raise StoreError(f"{path}: cannot be read: {err.strerror}") from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if not path.exists():
            raise gone(folder)
        yield folder
    finally:
        os.close(descriptor)


@contextmanager
def free_to_remove(folder: Path) -> Iterator[bool]:
    """Whether nobody reads a version; nobody begins to while the `with` block runs.

    Raises:
        OSError: its manifest cannot be opened.
    """
    try:
        descriptor = os.open(folder / MANIFEST, os.O_RDWR)
    except FileNotFoundError:
        yield True
        return
    try:
        is_free = False
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_free = True
        yield is_free
    finally:
        os.close(descriptor)


def gone(folder: Path | str) -> StoreError:
    """The error for a version that was removed."""
    return StoreError(f"{folder}: this version was removed; ask for the current one again")
