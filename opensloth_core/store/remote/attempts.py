"""Removing what attempts left that nobody will publish.

Nothing depends on it: what stays is never seen, and `cache gc --remote` removes it later. So a store that
cannot be reached, or whose credentials may not delete, is no error here.
"""

import contextlib
import math

from opensloth_core.store.remote.objects import Objects
from opensloth_core.store.remote.reaching import RemoteStoreError
from opensloth_core.store.remote.record import attempt_dir, key_dir, split_attempt_path


def remove_attempt(objects: Objects, kind: str, key: str, attempt: str) -> None:
    """Remove all that an attempt has sent, whole files and halves."""
    place = attempt_dir(kind, key, attempt)
    with contextlib.suppress(RemoteStoreError):
        objects.delete(list(objects.listing(place)))
        objects.abort_uploads(place, math.inf, lambda path: False)


def remove_earlier(objects: Objects, kind: str, key: str, token: int) -> None:
    """Remove all that earlier attempts at a key have sent.

    Args:
        token: of the lease that has just published; whoever had one before it cannot publish any more.
    """
    if token == 1:
        return

    def is_later(path: str) -> bool:
        place = split_attempt_path(path)
        return place is None or int(place[2].partition("-")[0]) >= token

    place = key_dir(kind, key)
    with contextlib.suppress(RemoteStoreError):
        objects.delete([path for path in objects.listing(place) if not is_later(path)])
        objects.abort_uploads(place, math.inf, is_later)
