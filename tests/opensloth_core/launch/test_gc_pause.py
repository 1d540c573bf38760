"""The pause of the garbage collector."""

import gc
from collections.abc import Iterator

import pytest

from opensloth_core.launch.gc_pause import gc_paused


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    before = gc.get_freeze_count()
    yield
    if not before:
        gc.unfreeze()


def test_nothing_is_collected_within_and_what_is_there_never_again() -> None:
    collections: list[str] = []
    gc.callbacks.append(lambda phase, info: collections.append(phase))
    try:
        with gc_paused():
            kept = [[] for _ in range(10_000)]  # type: ignore[var-annotated]
            assert not gc.isenabled() and not collections
    finally:
        gc.callbacks.pop()
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(kept)
    assert kept[0] is not next((one for one in gc.get_objects() if one is kept[0]), None)


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), gc_paused():
        import opensloth_core.nothing  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()


def test_who_has_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
