"""Digests of content."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from opensloth_core.errors import DataError

CHUNK_BYTES = 1 << 20


def file_digest(path: Path, on_bytes: Callable[[int], object] | None = None) -> str:
    """BLAKE2b-256 of a file's bytes, as hex.

    Args:
        on_bytes: told how many bytes of it have been read, each time some were.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    digest = hashlib.blake2b(digest_size=32)
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                if on_bytes:
                    on_bytes(file.tell())
    except FileNotFoundError as err:
        raise DataError(f"{path}: no such file") from err
    except OSError as err:
        raise DataError(f"{path}: cannot be read: {err.strerror}") from err
    return digest.hexdigest()


def parts_digest(parts: Mapping[str, str]) -> str:
    """BLAKE2b-128 over named parts, whatever their order, as hex."""
    canonical = json.dumps(dict(parts), sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
