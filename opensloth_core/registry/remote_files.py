"""Files of a version in a remote store: sent with the manifest last, and fetched into a verified copy."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from opensloth_core.data.read.place import shown
from opensloth_core.errors import ModelError, StoreError
from opensloth_core.registry.model_files import digests
from opensloth_core.registry.records import VersionManifest
from opensloth_core.store.artifact import MANIFEST, commit, staging
from opensloth_core.store.remote.objects import Objects
from opensloth_core.store.remote.reaching import RemoteStoreError

_PARALLEL_FILES = 4


class DamagedVersion(StoreError):
    """A version is not what its manifest says."""


def send(objects: Objects, source: Path, manifest: VersionManifest, place: str) -> None:
    """Send the files of a version; its manifest once all others are there.

    Args:
        source: the folder they are in.
        place: the version's folder in the store.

    Raises:
        RemoteStoreError: the store cannot be reached, or its disk is full.
        ModelError: the files were changed meanwhile.
    """
    files = manifest.files

    def send_file(name: str) -> None:
        objects.upload(source / name, f"{place}/{name}")
        size = objects.size_bytes(f"{place}/{name}")
        if size != files[name].size_bytes:
            raise RemoteStoreError(
                f"{_shown(objects, place)}/{name}: has {size} bytes after it was sent, should have "
                f"{files[name].size_bytes:,}; try again"
            )

    with ThreadPoolExecutor(_PARALLEL_FILES) as threads:
        list(threads.map(send_file, files))
    if digests(source, list(files)) != files:
        raise ModelError(f"{source}: was changed while it was sent; nothing was promoted")
    data = (manifest.model_dump_json(indent=2) + "\n").encode()
    path = f"{place}/{MANIFEST}"
    if objects.write_if(path, data, None) is None:
        stored = objects.read(path)
        if stored is None or stored.data != data:
            raise RemoteStoreError(f"{_shown(objects, place)}: is there already; try again")


def read_manifest(objects: Objects, place: str) -> VersionManifest | None:
    """The manifest of a version; None where there is none.

    Raises:
        DamagedVersion: the manifest is damaged.
        StoreError: the store cannot be reached.
    """
    stored = objects.read(f"{place}/{MANIFEST}")
    if stored is None:
        return None
    try:
        manifest = VersionManifest.model_validate_json(stored.data)
    except ValidationError as err:
        raise _damaged(objects, place, f"{MANIFEST} is damaged, or of another version") from err
    if manifest.seal != manifest.sealed().seal:
        raise _damaged(objects, place, f"{MANIFEST} has changed since it was written")
    return manifest


def fetch(objects: Objects, place: str, manifest: VersionManifest, target: Path) -> None:
    """Copy a version into a folder that appears only when all of it is there and has the right digests.

    Raises:
        StoreError: the store cannot be reached, a file is damaged, or `target` cannot be written.
    """
    with staging(target) as folder:

        def fetch_file(name: str) -> None:
            path, wanted = folder / name, manifest.files[name]
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise _damaged(objects, place, f"{name!r} is no file of a version")
            path.parent.mkdir(parents=True, exist_ok=True)
            digest, size = hashlib.blake2b(digest_size=32), 0
            with path.open("xb") as file:
                for block in objects.blocks(f"{place}/{name}"):
                    file.write(block)
                    digest.update(block)
                    size += len(block)
                    if size > wanted.size_bytes:
                        break
            if (size, digest.hexdigest()) != (wanted.size_bytes, wanted.blake2b):
                raise _damaged(objects, place, f"{name} has other bytes than were promoted")

        with ThreadPoolExecutor(_PARALLEL_FILES) as threads:
            list(threads.map(fetch_file, manifest.files))
        commit(folder, target, manifest)


def _shown(objects: Objects, place: str) -> str:
    return f"{shown(objects.url).rstrip('/')}/{place}"


def _damaged(objects: Objects, place: str, problem: str) -> DamagedVersion:
    return DamagedVersion(
        f"{_shown(objects, place)}: {problem}; go back to another version: os-train models rollback "
        f"{place.partition('/')[0]}"
    )
