"""Files that are on the disk, not only in its cache, when the call returns."""

import hashlib
import os
from pathlib import Path

from opensloth_core.store.artifact import FileRecord


def write_file(path: Path, content: bytes) -> FileRecord:
    """Write a file and give its record.

    Raises:
        OSError: it cannot be written, or not in full.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    digest = hashlib.blake2b(content, digest_size=32)
    return FileRecord(size_bytes=len(content), blake2b=digest.hexdigest())
