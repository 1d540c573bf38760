"""Folders of models that are built once: by whoever comes first, whole, in one rename."""

import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from opensloth_core.store.durable import publish_folder

# A build takes seconds to minutes; whoever left a staging folder this long ago was killed.
_STALE_STAGING_SECONDS = 6 * 3600


def built_once(target: Path, build: Callable[[Path], None]) -> Path:
    """`target`, which `build` fills where it does not exist.

    Safe to call from several processes at once: each builds on its own, the first one to rename its
    folder into place wins and the others use that folder.

    Args:
        build: fills the folder that it is given, which exists and is empty.
    """
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale_staging(target)
    staging = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    staging.mkdir()
    try:
        build(staging)
        publish_folder(staging, target)
    except OSError:
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def _remove_stale_staging(target: Path) -> None:
    """Removes what killed builds left, and nothing that a living one may still write."""
    oldest_living = time.time() - _STALE_STAGING_SECONDS
    for path in target.parent.glob(f".{target.name}-*"):
        if path.stat().st_mtime < oldest_living:
            shutil.rmtree(path, ignore_errors=True)
