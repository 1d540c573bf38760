"""Tokens in a remote store: those of the very input, or of one that has chunks in common with it."""

import json
from collections.abc import Iterator
from itertools import islice

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.input_chunks import InputChunks
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.tokens import CHUNKS_FILE
from opensloth_core.runs.events import Progress
from opensloth_core.store.prepared import PreparedKey
from opensloth_core.store.remote.listing import published
from opensloth_core.store.remote.reaching import ObjectMissing
from opensloth_core.store.remote.record import Record, attempt_dir
from opensloth_core.store.remote.remote_store import RemoteStore
from opensloth_core.store.tokens import ALL_ROWS, TokensManifest, find_tokens, tokens_dir, tokens_key

_MAX_LOOKED_INTO = 8
"""Newest tokens whose list of chunks is read."""

_MAX_LIST_BYTES = 64 << 20
"""Longer lists of chunks are not worth reading."""

_FIRST_CHUNKS = 2
"""Chunks at the start of an input, one of which others must have to be fetched."""


def tokens_of_all_rows(config: DatasetPrepConfig, key: PreparedKey) -> str:
    """The key of the tokens of all rows of an input.

    Raises:
        DataError: the input cannot be read.
    """
    names = [file.name for file in _files(config)]
    return tokens_key(key.token_settings, key.input_digest, names, ALL_ROWS)


def fetch_tokens(store: RemoteStore, config: DatasetPrepConfig, name: str, progress: Progress) -> None:
    """Fetch what saves tokenizing, where the remote store has it and the local one does not.

    Tokens of another input are fetched where it begins as this one does: it was this one before rows were
    appended. A sample is tokenized here, since it costs less than all tokens do to fetch.

    Args:
        name: see `tokens_of_all_rows`.

    Raises:
        DataError: the input cannot be read.
        StoreError: the remote store cannot be reached, or the local one cannot be written.
    """
    if config.samples is not None:
        return
    if find_tokens(name)[0] is not None:
        return
    if store.pull("tokens", name, tokens_dir(name), TokensManifest, progress) is not None:
        return
    lenders = _lenders(store, name)
    if not lenders:
        return
    first = {chunk.digest for chunk in islice(InputChunks(_files(config), config), _FIRST_CHUNKS)}
    for other, record in lenders:
        if first.intersection(_chunks(store, other, record)):
            if find_tokens(other)[0] is None:
                store.pull("tokens", other, tokens_dir(other), TokensManifest, progress)
            return


def share_tokens(store: RemoteStore, name: str, progress: Progress) -> None:
    """Publish the tokens of all rows, unless they are there or another machine is publishing them.

    Args:
        name: see `tokens_of_all_rows`.

    Raises:
        StoreError: the remote store cannot be reached.
    """
    if find_tokens(name)[0] is None:
        return
    lease = store.lease("tokens", name, wait=False)
    if lease is not None:
        with lease:
            store.push("tokens", name, tokens_dir(name), lease, progress)


def _lenders(store: RemoteStore, name: str) -> list[tuple[str, Record]]:
    """Published tokens that were made with the same settings, newest first."""
    found = published(store.objects, "tokens", f"{name.partition('-')[0]}-")
    newest = sorted(found, key=lambda entry: -(entry[1].created or 0.0))
    return newest[:_MAX_LOOKED_INTO]


def _chunks(store: RemoteStore, name: str, record: Record) -> Iterator[str]:
    """Digests of the chunks of some tokens; none where their list cannot be read."""
    file = record.files.get(CHUNKS_FILE)
    if file is None or file.size_bytes > _MAX_LIST_BYTES:
        return
    path = f"{attempt_dir('tokens', name, record.attempt)}/{CHUNKS_FILE}"
    try:
        for line in b"".join(store.objects.blocks(path)).splitlines():
            yield str(json.loads(line)["stored"]["digest"])
    except (ObjectMissing, ValueError, KeyError, TypeError):  # whoever fetches it will be told
        return


def _files(config: DatasetPrepConfig) -> list[InputFile]:
    return find_inputs(config.data, config.split)
