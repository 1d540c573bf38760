"""Copies of versions of remote models on this machine.

$OPENSLOTH_HOME/models/.fetched/<store>/<name>/<id>/       see `opensloth_core.store.artifact`
"""

import contextlib
import hashlib
from collections.abc import Collection
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.registry.held import free_to_remove
from opensloth_core.registry.names import is_id
from opensloth_core.registry.records import VersionManifest
from opensloth_core.registry.working_with import user_of
from opensloth_core.store.artifact import ManifestError, damage, discard, read_manifest
from opensloth_core.store.home import home_dir


def fetched_dir(url: str, name: str, version_id: str) -> Path:
    """Where the copy of a version is, or will be."""
    store = hashlib.blake2b(url.rstrip("/").encode(), digest_size=6).hexdigest()
    return home_dir() / "models" / ".fetched" / store / name / version_id


def is_whole(folder: Path, manifest: VersionManifest) -> bool:
    """Whether a copy is there with all its files, by their sizes; digests were checked when it was made."""
    try:
        return read_manifest(folder, VersionManifest) == manifest and damage(folder, manifest.files) is None
    except ManifestError:
        return False


def remove_fetched(folder: Path, kept: Collection[str]) -> None:
    """Remove copies of versions that are not kept any more, unless somebody works with them."""
    for path in folder.iterdir():
        if not is_id(path.name) or path.name in kept:
            continue
        # The next copy that is fetched tries again.
        with contextlib.suppress(OSError, StoreError), free_to_remove(path) as is_free:
            if is_free and user_of(path) is None:
                discard(path)
