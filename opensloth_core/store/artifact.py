"""Artifacts on disk: a folder that exists whole or not at all.

Everything is written into a staging folder beside the final place. The manifest is written last and
the folder renamed into place with it, so a folder under its final name is complete, and what is cut
off half way is never found.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import NonNegativeInt

from opensloth_core.config.base import Settings
from opensloth_core.errors import StoreError
from opensloth_core.store.digest import file_digest

MANIFEST = "manifest.json"
LOCK = ".lock"
STAGING = ".staging-"


class FileRecord(Settings):
    """What a file of an artifact must be."""

    size_bytes: NonNegativeInt
    """Size on disk."""

    blake2b: str
    """BLAKE2b-256 of its bytes, hex."""


class Manifest(Settings):
    """What every artifact's manifest says."""

    files: dict[str, FileRecord]
    """Every file of the artifact but the manifest."""


def file_records(folder: Path, known: Mapping[str, FileRecord] | None = None) -> dict[str, FileRecord]:
    """Records of all files of a folder but its manifest.

    Args:
        known: records of files that were linked from other artifacts.
    """
    known = known or {}
    return {
        path.name: known.get(path.name)
        or FileRecord(size_bytes=path.stat().st_size, blake2b=file_digest(path))
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }


def damage(folder: Path, files: dict[str, FileRecord]) -> str | None:
    """What is wrong with an artifact's files by existence and size, or None."""
    for name, record in files.items():
        try:
            size = (folder / name).stat().st_size
        except FileNotFoundError:
            return f"{name} is missing"
        if size != record.size_bytes:
            return f"{name} has {size:,} bytes, should have {record.size_bytes:,}"
    return None


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to write an artifact into; gone afterwards unless committed.

    What killed processes of this machine left is removed first.

    Raises:
        StoreError: the store cannot be written, or its disk is full.
    """
    folder = _staging_folder(target)
    try:
        folder.mkdir(parents=True)
        _remove_abandoned(target.parent)
        yield folder
    except OSError as err:
        raise StoreError(
            f"{target.parent}: cannot write the artifact store: {err.strerror or err}; "
            "make room, or set OPENSLOTH_HOME to a folder you can write"
        ) from err
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _staging_folder(target: Path) -> Path:
    return target.parent / f"{STAGING}{target.name}-{os.getpid()}-{secrets.token_hex(4)}"


def _remove_abandoned(store: Path) -> None:
    for folder in store.glob(f"{STAGING}*"):
        pid = int(folder.name.split("-")[-2])
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def commit(folder: Path, target: Path, manifest: Manifest) -> None:
    """Write the manifest and rename the staging folder into place.

    A damaged artifact already there is replaced; a whole one is kept, since the same key means the
    same bytes. One process of the machine commits at a time, since looking at what is there and
    replacing it are two steps.
    """
    path = folder / MANIFEST
    with path.open("w") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    with (target.parent / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():
                raise
            if _is_whole(target, type(manifest)):
                return
            discarded = _staging_folder(target)
            target.rename(discarded)
            folder.rename(target)
            shutil.rmtree(discarded)


def _is_whole(target: Path, kind: type[Manifest]) -> bool:
    try:
        manifest = kind.model_validate_json((target / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    return damage(target, manifest.files) is None
