"""Paths as people write them."""

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """A path with `~` and `~user` as their folders; as it is where there is no such user, and so no file."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (pathlib's raises RuntimeError there)
