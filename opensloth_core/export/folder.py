"""Folders that exports go to: new, whole or not there, and never another's."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opensloth_core.checks.outputs import check_output
from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.expanded import expanded
from opensloth_core.export.result import Result
from opensloth_core.store.durable import make_folder, publish_folder
from opensloth_core.store.home import home_dir

_STALE_SECONDS = 6 * 3600  # an export takes seconds to minutes


def export_folder(result: Result, kind: str, output: Path | None) -> Path:
    """The folder an export goes to: `output`, or `<home>/exports/<run>-<kind>`.

    Raises:
        ConfigError: it holds something, or cannot be written.
    """
    folder = output or home_dir() / "exports" / f"{result.name}-{kind}"
    folder = expanded(folder).absolute()
    check_output("output", folder)
    return folder


def check_room(folder: Path, size_bytes: int) -> None:
    """Refuse to write more than the disk of a folder has free.

    Raises:
        ConfigError: it has less.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if size_bytes > free:
        raise ConfigError(
            f"output {folder}: needs {size_bytes / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free there; "
            "make room, or give --output on another disk"
        )


@contextmanager
def published(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to write into, which gets that name once the block ends well.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    partial: Path | None = None
    try:
        make_folder(target.parent)
        _remove_stale(target)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
        partial.chmod(0o777 & ~_umask())
        yield partial
        publish_folder(partial, target)
    except OSError as err:
        raise StoreError(
            f"{target}: cannot be written: {err.strerror or err}; make room, or give --output elsewhere"
        ) from err
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _remove_stale(target: Path) -> None:
    """Remove what killed exports left, and nothing that a living one may still write."""
    oldest_living = time.time() - _STALE_SECONDS
    for path in target.parent.glob(f"{glob.escape(f'.{target.name}.partial-')}*"):
        if path.stat().st_mtime < oldest_living:
            shutil.rmtree(path, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
