"""Folders of ours before they are there."""

from pathlib import Path

from opensloth_core.store.home import home_dir


def nearest_folder(path: Path) -> Path:
    """The path, or the nearest of its parents that can be seen; what is made in it is made there first."""
    return next(one for one in (path, *path.parents) if _is_seen(one))


def _is_seen(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # it is in a folder that this user may not enter
        return False


def store_dir() -> Path:
    """Where prepared data is kept."""
    return home_dir() / "store"


def file_system(path: Path) -> str:
    """Kind of the file system that a path is on, such as `ext4`; empty where it is not known."""
    try:
        mounts = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return ""
    found = ""
    longest = -1
    for line in mounts:
        _, point, kind, *_ = line.split()
        place = Path(point.replace("\\040", " "))
        if path.resolve().is_relative_to(place) and len(place.parts) >= longest:
            found, longest = kind, len(place.parts)
    return found
