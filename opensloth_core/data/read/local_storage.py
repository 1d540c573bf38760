"""Files on this machine's disks."""

import glob
import os
import stat
from pathlib import Path
from typing import BinaryIO

from opensloth_core.data.read.place import reading
from opensloth_core.data.read.storage import Kind
from opensloth_core.errors import DataError


class LocalStorage:
    """Local files; a location is a path, relative to where the process runs."""

    def kind(self, location: str) -> Kind | None:
        with reading(location):
            try:
                mode = Path(location).stat().st_mode
            except (FileNotFoundError, NotADirectoryError, ValueError):
                return None
        if stat.S_ISDIR(mode):
            return "folder"
        if not stat.S_ISREG(mode):
            raise DataError(f"{location}: is not a regular file; save the rows to a file first")
        return "file"

    def files_under(self, folder: str) -> dict[str, str]:
        found: dict[str, str] = {}
        seen: set[tuple[int, int]] = set()
        with reading(folder):
            for parent, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
                status = Path(parent).stat()
                # A link to a folder above would otherwise be walked for ever.
                if (status.st_dev, status.st_ino) in seen:
                    folders.clear()
                    continue
                seen.add((status.st_dev, status.st_ino))
                folders.sort()
                for name in names:
                    path = Path(parent, name)
                    found[path.relative_to(folder).as_posix()] = str(path)
        return found

    def matches(self, pattern: str) -> list[str]:
        with reading(pattern):
            return glob.glob(pattern, recursive=True)  # noqa: PTH207 (pathlib's takes no absolute pattern)

    def size_bytes(self, location: str) -> int:
        with reading(location):
            return Path(location).stat().st_size

    def content_tag(self, location: str) -> str | None:
        return None

    def open(self, location: str, random_access: bool = False) -> BinaryIO:
        with reading(location):
            return Path(location).open("rb", buffering=0)


def _raise(err: OSError) -> None:
    raise err
