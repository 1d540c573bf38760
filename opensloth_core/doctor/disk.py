"""Whether there is room for data, checkpoints and temporary files."""

import os
import tempfile
from pathlib import Path

from opensloth_core.doctor.finding import Finding, error, ok, warning
from opensloth_core.doctor.places import nearest_folder, store_dir
from opensloth_core.runs.report.numbers import size
from opensloth_core.store.home import home_dir

NAME = "disk"
LEAST_BYTES = 1_000_000_000
LITTLE_BYTES = 10_000_000_000
"""A checkpoint of a small model with its optimizer, and its data."""

_REMEDY = "make room: os-train cache gc --max-age 30d, os-train runs rm RUN; or set OPENSLOTH_HOME elsewhere"


def check_disk(least_bytes: int = LEAST_BYTES, little_bytes: int = LITTLE_BYTES) -> Finding:
    """Free bytes and file names where home, store and temporary files are; each disk once."""
    disks: dict[int, tuple[list[str], Path]] = {}
    for name, path in {"home": home_dir(), "store": store_dir(), "tmp": Path(tempfile.gettempdir())}.items():
        folder = nearest_folder(path)
        disks.setdefault(folder.stat().st_dev, ([], folder))[0].append(name)
    told, free = [], []
    for names, folder in disks.values():
        status = os.statvfs(folder)
        free.append(status.f_bavail * status.f_frsize)
        told.append(f"{'/'.join(names)} {size(free[-1])} free")
        if status.f_files and status.f_favail == 0:
            return error(
                NAME, f"{'/'.join(names)} ({folder}): no file can be made, its inodes are used up", _REMEDY
            )
    text = ", ".join(told)
    if min(free) < least_bytes:
        return error(NAME, text, _REMEDY)
    if min(free) < little_bytes:
        return warning(NAME, text, _REMEDY)
    return ok(NAME, text)
