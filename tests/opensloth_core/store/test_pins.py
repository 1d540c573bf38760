"""Pins outlive what they pin."""

from pathlib import Path

from opensloth_core.store.pins import keys_pinned_by, owners_of, pin, pinned_keys, unpin


def test_a_pin_is_there_until_it_is_taken_away(home: Path) -> None:
    assert pinned_keys() == frozenset()
    assert pin("0123") is True
    assert pin("0123") is False
    assert pin("4567") is True
    assert pinned_keys() == {"0123", "4567"}
    assert unpin("0123") is True
    assert unpin("0123") is False
    assert pinned_keys() == {"4567"}


def test_what_several_pinned_is_pinned_until_all_have_let_go(home: Path) -> None:
    assert [pin("0123", "bot"), pin("0123", "bot"), pin("0123"), pin("0123", "other")] == [1, 0, 1, 1]
    assert pinned_keys() == {"0123"} and owners_of("0123") == ["", "bot", "other"]
    assert unpin("0123", "bot") and not unpin("0123", "bot")
    assert keys_pinned_by("bot") == frozenset() and keys_pinned_by("other") == {"0123"}
    assert unpin("0123") and pinned_keys() == {"0123"}
    assert unpin("0123", "other") and pinned_keys() == frozenset()
