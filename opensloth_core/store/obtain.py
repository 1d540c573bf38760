"""Prepared data for whoever asks: found whole in the store, or made there by one process for all who wait."""

from pathlib import Path

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.runs.events import Progress, no_progress
from opensloth_core.store.adopt import adopt
from opensloth_core.store.once import Wanted, found_or_made
from opensloth_core.store.prepared import (
    PreparedKey,
    PreparedManifest,
    find_prepared,
    prepared_dir,
)
from opensloth_core.store.remote.preparing import prepare_or_fetch
from opensloth_core.store.single_flight import A_PROGRAM, Asker


def obtain(
    config: DatasetPrepConfig,
    model_dir: Path,
    num_shards: int,
    key: PreparedKey,
    progress: Progress = no_progress,
    asker: Asker = A_PROGRAM,
) -> tuple[PreparedManifest, bool]:
    """The prepared data of a key, and whether it was there already.

    A damaged artifact is said to be one and made again; with `config.verify` every byte of it counts.

    Args:
        asker: who asks, and is told whom it waits for.

    Raises:
        DataError, ModelError, StoreError: see `prepare`.
    """

    def make() -> PreparedManifest:
        if config.prepared is not None:
            return adopt(config.prepared, key.digest)
        return prepare_or_fetch(config, model_dir, num_shards, key, progress, asker)

    wanted = Wanted(
        folder=prepared_dir(key.digest),
        find=lambda: find_prepared(key.digest, config.verify),
        make=make,
        work="prepares the same data",
        making="preparing",
    )
    return found_or_made(wanted, asker)
