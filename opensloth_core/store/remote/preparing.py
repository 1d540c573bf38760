"""Preparing with a remote store behind the local one: fetched from there, or made here and published.

The first thing asked of the remote store comes before anything is read or tokenized, so one that cannot be
reached is an error then. Once the data are prepared they are whole on this machine, and training can go on:
that they could not be published is a line, not an error. Data that this machine has already are used
without asking the remote store anything.
"""

from pathlib import Path

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import OpenSlothError
from opensloth_core.runs.events import Progress, no_progress
from opensloth_core.store.prepared import (
    PreparedKey,
    PreparedManifest,
    find_prepared,
    prepare,
    prepared_dir,
)
from opensloth_core.store.remote.lease import TIMING, Lease, Timing
from opensloth_core.store.remote.place import store_url
from opensloth_core.store.remote.reaching import RemoteStoreError, RemoteStoreForbidden
from opensloth_core.store.remote.remote_store import RemoteStore
from opensloth_core.store.single_flight import A_PROGRAM, Asker

_MAX_LOOKS = 5
"""How often data that others published may turn out damaged before it is prepared without a lease."""


def prepare_or_fetch(
    config: DatasetPrepConfig,
    model_dir: Path,
    num_shards: int,
    key: PreparedKey,
    progress: Progress = no_progress,
    asker: Asker = A_PROGRAM,
    timing: Timing = TIMING,
) -> PreparedManifest:
    """Data that the local store lacks: as `prepare`, with the store of `OPENSLOTH_STORE` where that is set.

    Of all machines that ask for the same data one prepares it; the others wait and fetch it.

    Raises:
        DataError, ModelError: see `prepare`.
        StoreError: the local store cannot be written, or the remote one cannot be reached.
    """

    def prepare_here() -> PreparedManifest:
        return prepare(config, model_dir, num_shards, key, progress, asker)

    url = store_url()
    if url is None:
        return prepare_here()
    store = RemoteStore(url, asker, timing)
    target = prepared_dir(key.digest)
    for _ in range(_MAX_LOOKS):
        manifest = store.pull("prepared", key.digest, target, PreparedManifest, progress)
        if manifest is not None:
            return manifest
        try:
            lease = store.lease("prepared", key.digest)
        except RemoteStoreForbidden as err:
            asker.say(f"prepared on this machine alone, and not shared: {err}")
            break
        if lease is not None:
            with lease:
                # Asked for once: when the data are prepared, their sources may be gone.
                tokens = _tokens_of_all_rows(config, key)
                _fetch_tokens(store, config, tokens, progress)
                manifest = prepare_here()
                _share(store, key, tokens, lease, progress, asker)
            return manifest
    return prepare_here()


def find_or_fetch(key: str, asker: Asker = A_PROGRAM) -> tuple[PreparedManifest | None, str | None]:
    """As `find_prepared`; what this machine lacks is fetched where `OPENSLOTH_STORE` is set and has it.

    Raises:
        StoreError: the local store cannot be written, or the remote one cannot be reached.
    """
    manifest, problem = find_prepared(key)
    url = store_url()
    if manifest is None and url is not None:
        manifest = RemoteStore(url, asker).pull("prepared", key, prepared_dir(key), PreparedManifest)
    return manifest, problem


def _tokens_of_all_rows(config: DatasetPrepConfig, key: PreparedKey) -> str:
    # Imported here: only who tokenizes needs the readers and Arrow.
    from opensloth_core.store.remote.shared_tokens import tokens_of_all_rows

    return tokens_of_all_rows(config, key)


def _fetch_tokens(store: RemoteStore, config: DatasetPrepConfig, tokens: str, progress: Progress) -> None:
    from opensloth_core.store.remote.shared_tokens import fetch_tokens

    try:
        fetch_tokens(store, config, tokens, progress)
    except RemoteStoreError as err:
        store.say(f"tokens cannot be fetched, and are made here: {err}")


def _share(
    store: RemoteStore, key: PreparedKey, tokens: str, lease: Lease, progress: Progress, asker: Asker
) -> None:
    """Publish what was made here; whatever goes wrong is said, since the data are whole on this machine."""
    from opensloth_core.store.remote.shared_tokens import share_tokens

    try:
        store.push("prepared", key.digest, prepared_dir(key.digest), lease, progress)
        share_tokens(store, tokens, progress)
    except OpenSlothError as err:
        asker.say(f"warning: prepared, but not shared with other machines: {err}")
