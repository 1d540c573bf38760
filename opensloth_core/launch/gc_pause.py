"""Pauses Python's garbage collector where many objects come to stay.

It goes through them again and again, and finds nothing: an eighth of what a rank's imports take, and a sixth
of the start of Prefect's server with a new database.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """Within, nothing is collected; afterwards, no collection looks at what is there by then."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
