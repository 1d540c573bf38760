"""The data that versions of a model were judged by, pinned in the store of this machine by the model.

The next model has to do well on it too, so it stays for as long as a version that was judged by it is kept.
"""

from pathlib import Path

from opensloth_core.registry.model_registry import Registry
from opensloth_core.registry.records import PromotionRecord, Version
from opensloth_core.store.digest import parts_digest
from opensloth_core.store.pins import keys_pinned_by, pin, unpin

_DIGITS = 8


def promote_with_data(
    registry: Registry, adapter_dir: Path, record: PromotionRecord, keep: int, replacing: str | None
) -> Version:
    """Promote a model and pin the data that it was judged by, first, so that no kill leaves it without.

    A pin too many goes with the next promotion.

    Raises:
        See `Registry.promote`.
    """
    if record.prepared_key:
        pin(record.prepared_key, owner_of(registry))
    version = registry.promote(adapter_dir, record, keep, replacing)
    unpin_dropped(registry)
    return version


def unpin_dropped(registry: Registry) -> None:
    """Take the model's pins of data away that no version of it was judged by.

    Raises:
        StoreError: registry or store cannot be read or written.
    """
    owner = owner_of(registry)
    mine = keys_pinned_by(owner)
    if mine:
        for key in mine - {version.record.prepared_key for version in registry.versions()}:
            unpin(key, owner)


def owner_of(registry: Registry) -> str:
    """Who pins for a model: its name, and a digest of the place that tells it from others of that name."""
    return f"{registry.name}.{parts_digest({'location': registry.location})[:_DIGITS]}"


def model_named(owner: str) -> str:
    """The name of the model that an owner of pins is."""
    return owner[: -_DIGITS - 1]
