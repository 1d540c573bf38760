"""The files of a trained adapter or model: which they are, whether they are whole, and a copy of them."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from opensloth_core.checks.weights import check_weights
from opensloth_core.errors import ModelError
from opensloth_core.models.adapter import is_adapter, read_adapter
from opensloth_core.models.tensors import tensor_shapes
from opensloth_core.registry.records import VersionManifest
from opensloth_core.store.artifact import MANIFEST, FileRecord, ManifestError, read_manifest
from opensloth_core.store.digest import CHUNK_BYTES, file_digest
from opensloth_core.store.durable import flush
from opensloth_core.store.home import home_dir

LINK_FROM_BYTES = 256_000_000
"""Files of this home's runs from this size on are linked, since a copy of them takes time and room."""


def check_whole(folder: Path) -> None:
    """Refuse a folder that does not hold all of an adapter or a model.

    Raises:
        ModelError: it holds neither, or a file of it is missing or cut off.
    """
    try:
        if not folder.is_dir():
            found = "a file" if folder.exists() else "missing"
            raise ModelError(f"{folder}: is {found}, not the folder of an adapter or a model")
        if is_adapter(folder):
            tensor_shapes(read_adapter(folder).weights_path)
            return
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{folder}: neither an adapter nor a model (no adapter_config.json and no config.json)"
            )
        check_weights(folder)
    except OSError as err:
        raise ModelError(f"{err.filename or folder}: cannot be read: {err.strerror}") from err


def model_files(folder: Path) -> list[str]:
    """Paths of the files of an adapter or a model within its folder; hidden ones are left out.

    Raises:
        ModelError: something there is no file, or its name is taken.
    """
    if (folder / MANIFEST).exists() and not _is_version(folder):
        raise ModelError(f"{folder / MANIFEST}: a version keeps its own file under this name; rename it")
    found = sorted(path.relative_to(folder).as_posix() for path in _files(folder))
    return [name for name in found if name != MANIFEST]


def digests(folder: Path, names: list[str]) -> dict[str, FileRecord]:
    """Sizes and digests of some files of a folder.

    Raises:
        DataError: one of them cannot be read.
    """
    return {
        name: FileRecord(size_bytes=(folder / name).stat().st_size, blake2b=file_digest(folder / name))
        for name in names
    }


def copy_model(source: Path, target: Path) -> dict[str, FileRecord]:
    """Copy or link the files of an adapter or a model into an empty folder; their sizes and digests.

    A file is linked where it is large and the result of a run of this home, which nobody changes.

    Raises:
        ModelError: the source cannot be read.
        OSError: the target cannot be written.
    """
    is_result = source.resolve().is_relative_to((home_dir() / "runs").resolve())
    records = {}
    for name in model_files(source):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        records[name] = (is_result and _linked(source / name, path)) or _copied(source / name, path)
    for folder in {(target / name).parent for name in records} - {target}:
        flush(folder)
    return records


def _linked(source: Path, target: Path) -> FileRecord | None:
    if source.is_symlink() or source.stat().st_size < LINK_FROM_BYTES:
        return None
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        return None
    return FileRecord(size_bytes=target.stat().st_size, blake2b=file_digest(target))


def _copied(source: Path, target: Path) -> FileRecord:
    digest, size = hashlib.blake2b(digest_size=32), 0
    with target.open("xb") as copy:
        for block in _blocks(source):
            copy.write(block)
            digest.update(block)
            size += len(block)
        copy.flush()
        os.fsync(copy.fileno())
    return FileRecord(size_bytes=size, blake2b=digest.hexdigest())


def _blocks(path: Path) -> Iterator[bytes]:
    # Apart from writing, whose errors are the target's.
    try:
        file = path.open("rb")
    except OSError as err:
        raise _unreadable(path, err) from err
    with file:
        while True:
            try:
                block = file.read(CHUNK_BYTES)
            except OSError as err:
                raise _unreadable(path, err) from err
            if not block:
                return
            yield block


def _files(folder: Path) -> Iterator[Path]:
    try:
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                if path.is_symlink():
                    raise ModelError(f"{path}: is a link to a folder; copy that into its place")
                yield from _files(path)
            elif path.is_file():
                yield path
            else:
                raise ModelError(f"{path}: is neither a file nor a folder; remove it")
    except OSError as err:
        raise _unreadable(folder, err) from err


def _is_version(folder: Path) -> bool:
    try:
        read_manifest(folder, VersionManifest)
    except ManifestError:
        return False
    return True


def _unreadable(path: Path, err: OSError) -> ModelError:
    return ModelError(f"{path}: cannot be read: {err.strerror or err}")
