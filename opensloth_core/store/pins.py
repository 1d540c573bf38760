"""Pins: artifacts that are never collected, whatever their age or size.

    store/pins/<key>            an empty file: a person pinned the artifact
    store/pins/<key>@<owner>    somebody else did, such as a model that was judged by it

An artifact is pinned until all have taken their pins away. A pin is kept apart from it, so that data that is
prepared again under its key is still pinned. Those that models made before there were
owners count as a person's.
"""

from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.store.home import home_dir

PERSON = ""
"""The owner of the pins that `os-train cache pin` makes."""

_OF = "@"


def pinned_keys() -> frozenset[str]:
    """Keys of all pinned artifacts, whether or not they are there."""
    return frozenset(key for key, _ in _pins())


def keys_pinned_by(owner: str) -> frozenset[str]:
    """Keys of the artifacts that somebody pinned."""
    return frozenset(key for key, one in _pins() if one == owner)


def owners_of(key: str) -> list[str]:
    """Who pinned an artifact, in alphabetical order."""
    return sorted(owner for one, owner in _pins() if one == key)


def pin(key: str, owner: str = PERSON) -> bool:
    """Pin an artifact; gives whether the owner had not pinned it already.

    Raises:
        StoreError: the store cannot be written.
    """
    path = _path(key, owner)
    if path.exists():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as err:
        raise _unwritable(path, err) from err
    return True


def unpin(key: str, owner: str = PERSON) -> bool:
    """Take an owner's pin away; gives whether there was one.

    Raises:
        StoreError: the store cannot be written.
    """
    path = _path(key, owner)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as err:
        raise _unwritable(path, err) from err
    return True


def _pins() -> list[tuple[str, str]]:
    """Key and owner of each pin."""
    parts = (path.name.partition(_OF) for path in _pins_dir().glob("[!.]*"))
    return [(key, owner) for key, _, owner in parts]


def _path(key: str, owner: str) -> Path:
    return _pins_dir() / (f"{key}{_OF}{owner}" if owner else key)


def _unwritable(path: Path, err: OSError) -> StoreError:
    return StoreError(
        f"{path.parent}: cannot be written: {err.strerror}; do it as a user who may write the store"
    )


def _pins_dir() -> Path:
    return home_dir() / "store" / "pins"
