"""Prepared data that a person names, checked, and taken into the store where it is a copy outside."""

import errno
import os
import shutil
from pathlib import Path

from opensloth_core.errors import DataError
from opensloth_core.store.artifact import MANIFEST, commit, damage, read_manifest, staging
from opensloth_core.store.digest_memory import remembered_digest
from opensloth_core.store.given import GivenData, given_data
from opensloth_core.store.prepared import PreparedManifest, prepared_dir
from opensloth_core.store.verify import corruption

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}
"""Why a file that cannot be linked may yet be copied: another file system, one without links, no right to."""


def check_given(called: str) -> None:
    """Refuse prepared data that is not whole; of a copy outside of the store every byte counts.

    Raises:
        ConfigError: there is none of that name.
        DataError: it is damaged.
    """
    given = given_data(called)
    problem = damage(given.folder, given.manifest.files)
    if problem is None and given.is_copy:
        problem = _changed(given)
    if problem is not None:
        raise DataError(f"prepared {called}: {given.folder}: {problem}; prepare the data again with os-data")


def adopt(called: str, key: str) -> PreparedManifest:
    """Take a copy of prepared data into the store, where it is hard-linked if the disk is the same.

    Raises:
        DataError: there is no copy to take, or it is damaged.
        StoreError: the store cannot be written.
    """
    given = given_data(called)
    if not given.is_copy:
        raise DataError(
            f"prepared {key[:12]}: is no longer whole in the store; prepare the data again with os-data, or "
            "name the folder of a copy"
        )
    target = prepared_dir(key)
    with staging(target) as folder:
        for name in given.manifest.files:
            link_or_copy(given.folder / name, folder / name)
        if problem := corruption(folder, given.manifest.files):
            raise DataError(f"prepared {called}: {problem}; prepare the data again with os-data")
        return commit(folder, target, read_manifest(given.folder, PreparedManifest))


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file to a name that is free, or copy it where it cannot be linked.

    Raises:
        OSError: it cannot be read or written, or the name is taken.
    """
    try:
        # A link of a link would lead back to where the copy is.
        os.link(source.resolve(), target)
    except OSError as err:
        if err.errno not in _NO_LINKS:
            raise
        with source.open("rb") as original, target.open("xb") as copy:
            shutil.copyfileobj(original, copy)


def _changed(given: GivenData) -> str | None:
    for name, record in given.manifest.files.items():
        if remembered_digest(given.folder / name) != record.blake2b:
            return f"{name} has changed since it was written; {MANIFEST} has another digest"
    return None
