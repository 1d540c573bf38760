"""Pins outlive what they pin."""

from pathlib import Path

from opensloth_core.store.pins import pin, pinned_keys, unpin


def test_a_pin_is_there_until_it_is_taken_away(home: Path) -> None:
    assert pinned_keys() == frozenset()
    assert pin("0123") is True
    assert pin("0123") is False
    assert pin("4567") is True
    assert pinned_keys() == {"0123", "4567"}
    assert unpin("0123") is True
    assert unpin("0123") is False
    assert pinned_keys() == {"4567"}
