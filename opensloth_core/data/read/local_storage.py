"""Files on this machine's disks."""

import glob
import os
import stat
from pathlib import Path
from typing import BinaryIO

from opensloth_core.checks.roots import check_data_path, check_data_pattern, check_opened, may_read_data
from opensloth_core.data.read.hub import HubId
from opensloth_core.data.read.names import up_to_glob
from opensloth_core.data.read.place import reading
from opensloth_core.data.read.storage import Kind
from opensloth_core.errors import DataError


class LocalStorage:
    """Local files; a location is a path, relative to where the process runs."""

    def kind(self, location: str) -> Kind | None:
        if HubId.parse(location) and not may_read_data(location):
            return None
        check_data_path(location)
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
                check_data_path(parent)
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
        check_data_pattern(pattern, up_to_glob(pattern))
        with reading(pattern):
            return glob.glob(pattern, recursive=True)  # noqa: PTH207 (pathlib's takes no absolute pattern)

    def size_bytes(self, location: str) -> int:
        check_data_path(location)
        with reading(location):
            return Path(location).stat().st_size

    def content_tag(self, location: str) -> str | None:
        return None

    def open(self, location: str, random_access: bool = False) -> BinaryIO:
        check_data_path(location)
        with reading(location):
            file = Path(location).open("rb", buffering=0)  # noqa: SIM115 (the caller closes it)
        check_opened(file, location)
        return file


def _raise(err: OSError) -> None:
    raise err
