"""The data that versions were judged by stays for as long as they do."""

from pathlib import Path

import pytest

from opensloth_core.errors import StoreError
from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.registry.pinned_data import model_named, owner_of, promote_with_data, unpin_dropped
from opensloth_core.registry.records import Version
from opensloth_core.store.pins import pin, pinned_keys, unpin
from tests.opensloth_core.registry.adapters import record, write_adapter


def promote(registry: Registry, folder: Path, mark: int, key: str, replacing: str | None = None) -> Version:
    adapter = write_adapter(folder / f"{registry.name}-{mark}", mark)
    return promote_with_data(registry, adapter, record(mark, prepared_key=key), 1, replacing)


def test_a_model_takes_no_pin_away_but_its_own(home: Path, tmp_path: Path) -> None:
    one, two = open_registry("one"), open_registry("two")
    promote(one, tmp_path, 1, "aaaa")
    promote(two, tmp_path, 1, "aaaa")
    pin("bbbb")
    promote(one, tmp_path, 2, "bbbb")
    promote(one, tmp_path, 3, "cccc")  # keeps what a rollback goes to, and its data
    assert pinned_keys() == {"aaaa", "bbbb", "cccc"}
    promote(one, tmp_path, 4, "dddd")
    assert pinned_keys() == {"aaaa", "bbbb", "cccc", "dddd"}
    assert unpin("bbbb") and pinned_keys() == {"aaaa", "cccc", "dddd"}
    two.remove_all()
    unpin_dropped(two)
    assert pinned_keys() == {"cccc", "dddd"}


def test_data_is_pinned_before_its_version_is_current(home: Path, tmp_path: Path) -> None:
    """Where the promotion ends half way, a pin too many is left, which the next one takes away."""
    registry = open_registry("bot")
    promote(registry, tmp_path, 1, "aaaa")
    with pytest.raises(StoreError, match="was compared with version 0009-abcd"):
        promote(registry, tmp_path, 2, "bbbb", replacing="0009-abcd")
    assert pinned_keys() == {"aaaa", "bbbb"}
    promote(registry, tmp_path, 3, "cccc")
    assert pinned_keys() == {"aaaa", "cccc"}


def test_models_of_one_name_in_two_places_are_two(home: Path, tmp_path: Path) -> None:
    owners = {owner_of(open_registry("my.bot", root)) for root in (tmp_path / "a", "memory://b")}
    assert len(owners) == 2 and {model_named(owner) for owner in owners} == {"my.bot"}
