"""Folders that appear under their name only when all of them is on the disk."""

import errno
import os
import shutil
from pathlib import Path


def publish_folder(staging: Path, target: Path, replace: bool = False) -> None:
    """Flush every file of `staging` to the disk and rename it to `target`, on the same file system.

    At no moment is there half a folder under `target`. Files get the permissions new files have here.

    Args:
        replace: whether a folder that is there makes room; an error otherwise, unless it is empty.

    Raises:
        OSError: the disk is full, a folder cannot be written, or `target` is there.
    """
    permissions = staging.stat().st_mode & 0o666
    for path in [*staging.rglob("*"), staging]:
        if path.is_file():
            path.chmod(permissions)  # safetensors writes for the owner alone
        flush(path)
    replaced = target.with_name(f".{target.name}.replaced-{os.getpid()}")
    if replace and target.exists():
        target.rename(replaced)
    staging.rename(target)
    flush(target.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        OSError: it cannot be made; `NotADirectoryError` where a file is in its place.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as err:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from err


def flush(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
