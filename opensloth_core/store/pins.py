"""Pins: artifacts that are never collected, whatever their age or size.

    store/pins/<key>        an empty file a pinned artifact

A pin is kept apart from the artifact, so that data that is prepared again under its key is still pinned.
"""

from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.store.home import home_dir


def pinned_keys() -> frozenset[str]:
    """Keys of all pinned artifacts, whether or not they are there."""
    return frozenset(path.name for path in _pins_dir().glob("[!.]*"))


def pin(key: str) -> bool:
    """Pin an artifact; gives whether it was not pinned already.

    Raises:
        StoreError: the store cannot be written.
    """
    path = _pins_dir() / key
    if path.exists():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as err:
        raise _unwritable(path, err) from err
    return True


def unpin(key: str) -> bool:
    """Take a pin away; gives whether there was one.

    Raises:
        StoreError: the store cannot be written.
    """
    path = _pins_dir() / key
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as err:
        raise _unwritable(path, err) from err
    return True


def _unwritable(path: Path, err: OSError) -> StoreError:
    return StoreError(
        f"{path.parent}: cannot be written: {err.strerror}; do it as a user who may write the store"
    )


def _pins_dir() -> Path:
    return home_dir() / "store" / "pins"
