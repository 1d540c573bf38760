"""Whether an artifact is what it was when it was made: its manifest, and every byte of its files."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict

from opensloth_core.errors import DataError
from opensloth_core.store.artifact import FileRecord, Manifest, ManifestError, damage, read_manifest
from opensloth_core.store.digest import file_digest

SHOWN_CHARACTERS = 12

Kind = TypeVar("Kind", bound=Manifest)


class _AnyManifest(Manifest):
    """What tokens and prepared data have in common."""

    model_config = ConfigDict(extra="ignore")


def verify(folder: Path) -> str | None:
    """What is wrong with an artifact, tokens or prepared data, or None. Reads all of it.

    Args:
        folder: one that exists.
    """
    _, problem = find_artifact(folder, _AnyManifest, in_full=True)
    return problem


def find_artifact(folder: Path, kind: type[Kind], in_full: bool = False) -> tuple[Kind | None, str | None]:
    """The manifest of a whole artifact, or None and what is wrong with the one that is there, if any.

    Args:
        kind: which manifest it must have.
        in_full: whether the files' digests count too, and not only that they exist and how large they are.
    """
    try:
        manifest = read_manifest(folder, kind)
    except ManifestError as err:
        return None, str(err) if os.path.exists(folder) else None  # noqa: PTH110
    problem = damage(folder, manifest.files)
    if problem is None and in_full:
        problem = corruption(folder, manifest.files)
    return (None, problem) if problem else (manifest, None)


def corruption(folder: Path, files: Mapping[str, FileRecord]) -> str | None:
    """The first file whose bytes are not those that were written, in words, or None."""
    for name, record in files.items():
        try:
            digest = file_digest(folder / name)
        except DataError as err:
            cause = err.__cause__
            return f"{name} cannot be read: {cause.strerror if isinstance(cause, OSError) else err}"
        if digest != record.blake2b:
            return (
                f"{name} has changed since it was written: its digest is {digest[:SHOWN_CHARACTERS]}…, "
                f"should be {record.blake2b[:SHOWN_CHARACTERS]}…"
            )
    return None
