"""Artifacts on disk: a folder that exists whole or not at all.

Everything is written into a staging folder beside the final place. The manifest is written last and
the folder renamed into place with it, so a folder under its final name is complete, and what is cut
off half way is never found.

    store/prepared/<key>/                        an artifact
    store/prepared/.staging-<key>-<id>/          one that is being written
    store/prepared/.staging-<key>-<id>.lock      locked by whoever writes it, for as long as it lives
"""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, NonNegativeInt

from opensloth_core.config.base import Settings
from opensloth_core.errors import StoreError
from opensloth_core.store.digest import file_digest, parts_digest
from opensloth_core.store.durable import flush, make_folder
from opensloth_core.store.file_lock import lock_file

MANIFEST = "manifest.json"
LOCK = ".lock"
STAGING = ".staging-"

# Both are joined to folders of this machine, whoever wrote the manifest.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=200)]
"""Name of a file in a folder of files only."""

FilePath = Annotated[str, Field(pattern=r"^[^/.\x00][^/\x00]*(/[^/.\x00][^/\x00]*)*$")]
"""Path of a file within its artifact, no part of which is hidden or leads out."""


class FileRecord(Settings):
    """What a file of an artifact must be."""

    size_bytes: NonNegativeInt
    """Size on disk."""

    blake2b: str
    """BLAKE2b-256 of its bytes, hex."""


class Manifest(Settings):
    """What every artifact's manifest says."""

    files: dict[FilePath, FileRecord]
    """Every file of the artifact but the manifest."""

    seal: str | None = None
    """BLAKE2b-128 over all else that the manifest says; None until it is written."""

    def sealed(self) -> Self:
        """The manifest with its seal."""
        return self.model_copy(update={"seal": _seal(self.model_dump(mode="json"))})


class ManifestError(StoreError):
    """A manifest is missing, torn, or has changed since it was written."""


Kind = TypeVar("Kind", bound=Manifest)


def read_manifest(folder: Path, kind: type[Kind]) -> Kind:
    """The manifest of a folder.

    Raises:
        ManifestError: it is not there or damaged, or of another kind or version.
    """
    try:
        values = json.loads((folder / MANIFEST).read_bytes())
        if isinstance(values, dict) and values.get("seal") not in (None, _seal(values)):
            raise ManifestError(f"{MANIFEST} has changed since it was written")
        return kind.model_validate_json(json.dumps(values))
    except FileNotFoundError as err:
        raise ManifestError(f"{MANIFEST} is missing") from err
    except OSError as err:
        raise ManifestError(f"{MANIFEST} cannot be read: {err.strerror}") from err
    except (ValueError, RecursionError) as err:
        reason = str(err).splitlines()[0]
        raise ManifestError(f"{MANIFEST} is damaged, or of another version: {reason}") from err


def _seal(values: Mapping[str, Any]) -> str:
    return parts_digest({name: json.dumps(value) for name, value in values.items() if name != "seal"})


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


def damage(folder: Path, files: Mapping[str, FileRecord]) -> str | None:
    """What is wrong with an artifact's files by existence and size, or None."""
    for name, record in files.items():
        try:
            size = (folder / name).stat().st_size
        except FileNotFoundError:
            return f"{name} is missing"
        except OSError as err:
            return f"{name} cannot be read: {err.strerror}"
        if size != record.size_bytes:
            return f"{name} has {size:,} bytes, should have {record.size_bytes:,}"
    return None


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A new folder beside `target` to write an artifact into; gone afterwards unless committed.

    What killed processes left is removed first, those of other machines too where the file system's locks
    reach them.

    Raises:
        StoreError: the store cannot be written, or its disk is full.
    """
    folder = _staging_folder(target)
    try:
        make_folder(target.parent)
        _remove_abandoned(target.parent)
        with _marked_as_alive(folder):
            folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as err:
        raise unwritable(target.parent, err) from err


def unwritable(place: Path, err: OSError) -> StoreError:
    """The error for a store that cannot be written, or whose disk is full."""
    # Arrow's errors have more words than the system's.
    reason = os.strerror(err.errno) if err.errno else str(err)
    return StoreError(
        f"{place}: cannot write the artifact store: {reason}; "
        "make room, or set OPENSLOTH_HOME to a folder you can write"
    )


def _staging_folder(target: Path) -> Path:
    return target.parent / f"{STAGING}{target.name}-{secrets.token_hex(8)}"


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


@contextmanager
def _marked_as_alive(folder: Path) -> Iterator[None]:
    """Hold the lock of a staging folder, from before the folder exists until after it has gone."""
    path = _lock_of(folder)
    descriptor = lock_file(path, wait=True)
    assert descriptor is not None, "waited for"
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _remove_abandoned(store: Path) -> None:
    names = {path.name.removesuffix(".lock") for path in store.glob(f"{STAGING}*")}
    for folder in (store / name for name in sorted(names)):
        # Another user's, perhaps: what is not ours to remove does not stop us from writing beside it.
        with contextlib.suppress(OSError):
            descriptor = lock_file(_lock_of(folder), wait=False)
            if descriptor is not None:
                shutil.rmtree(folder, ignore_errors=True)
                _lock_of(folder).unlink(missing_ok=True)
                os.close(descriptor)


def commit(folder: Path, target: Path, manifest: Kind) -> Kind:
    """Write the manifest and rename the staging folder into place, all of it on the disk by then.

    A damaged artifact already there is replaced; a whole one is kept, since the same key means the
    same bytes. Gives the manifest as it was written.
    """
    manifest = manifest.sealed()
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
    for path in [*folder.iterdir(), folder]:
        flush(path)
    with _committing(target):
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():
                raise
            if _is_whole(target, type(manifest)):
                return manifest
            _set_aside(target)
            folder.rename(target)
        flush(target.parent)
    return manifest


def discard(target: Path) -> None:
    """Remove an artifact that is damaged; nothing of it is found from then on.

    Raises:
        StoreError: the store cannot be written.
    """
    try:
        with _committing(target):
            if target.exists():
                _set_aside(target)
    except OSError as err:
        raise unwritable(target.parent, err) from err


@contextmanager
def _committing(target: Path) -> Iterator[None]:
    """One process at a time, since looking at what is there and replacing it are two steps."""
    descriptor = lock_file(target.parent / LOCK, wait=True)
    assert descriptor is not None, "waited for"
    try:
        yield
    finally:
        os.close(descriptor)


def _set_aside(target: Path) -> None:
    discarded = _staging_folder(target)
    target.rename(discarded)
    # What cannot be removed now is abandoned, and the next who writes here removes it.
    shutil.rmtree(discarded, ignore_errors=True)


def _is_whole(target: Path, kind: type[Manifest]) -> bool:
    try:
        manifest = read_manifest(target, kind)
    except ManifestError:
        return False
    return damage(target, manifest.files) is None
