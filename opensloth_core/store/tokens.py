"""Tokens in the store: shared by all preparations of the same rows, and chunk by chunk by all inputs.

    store/tokens/<settings>-<content>/      part-*.arrow  chunks.jsonl  manifest.json

`settings` is a digest of everything but the input; artifacts that share it can lend each other chunks.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.input_chunks import InputChunks
from opensloth_core.data.shape.layout import Layout
from opensloth_core.data.shape.shapes import Shape
from opensloth_core.data.throttle import Throttled
from opensloth_core.data.tokens import TokenSet, encode_into, known_chunks
from opensloth_core.errors import DataError
from opensloth_core.runs.events import Progress
from opensloth_core.store.artifact import FileRecord, Manifest, commit, file_records, staging
from opensloth_core.store.digest import parts_digest
from opensloth_core.store.home import home_dir
from opensloth_core.store.once import Wanted, found_or_made
from opensloth_core.store.setup_memory import remembered_setup
from opensloth_core.store.single_flight import Asker
from opensloth_core.store.verify import find_artifact, verify

ALL_ROWS = "all"

_MAX_LENDERS = 8
"""Newest artifacts that are looked into for chunks."""

_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError)
"""What reading files of the right size with wrong content ends in; Arrow's errors are ValueErrors."""


class TokensManifest(Manifest):
    """What a tokens artifact is."""

    key: str
    """Name of the artifact in the store."""

    parts: dict[str, str]
    """What the key is made of, by name."""

    created: float
    """Unix seconds."""


def tokens_key(settings: Mapping[str, str], input_digest: str, files: Sequence[str], rows: str) -> str:
    """The key of the tokens of some rows.

    Names of files count, since rejected rows are told by them; a renamed file lends all its chunks.

    Args:
        settings: parts of a key, all but the input: what decides the tokens of a row.
        input_digest: that of the whole input.
        files: names of its files.
        rows: which of its rows, `ALL_ROWS` for all.
    """
    content = parts_digest({"input": input_digest, "files": json.dumps(list(files)), "rows": rows})
    return f"{parts_digest(settings)[:16]}-{content[:16]}"


def find_tokens(key: str, in_full: bool = False) -> tuple[TokenSet | None, str | None]:
    """The tokens of a key, or None and what is wrong with those that are there, if any.

    Args:
        in_full: see `find_prepared`.
    """
    folder = tokens_dir(key)
    manifest, problem = find_artifact(folder, TokensManifest, in_full)
    if manifest is None:
        return None, problem
    if manifest.key != key:
        return None, f"its manifest is that of {manifest.key}"
    try:
        return TokenSet(folder), None
    except _UNREADABLE as err:
        return None, f"cannot be read: {str(err).splitlines()[0]}"


def obtain_tokens(key: str, make: Callable[[], TokenSet], asker: Asker, in_full: bool = False) -> TokenSet:
    """The tokens of a key: those of the store, or made while all others who ask for them wait.

    Args:
        make: see `tokenize`.
        in_full: see `find_prepared`.

    Raises:
        StoreError: the store cannot be written.
    """
    wanted = Wanted(
        folder=tokens_dir(key),
        find=lambda: find_tokens(key, in_full),
        make=make,
        work="tokenizes the same rows",
        making="tokenizing",
    )
    return found_or_made(wanted, asker)[0]


def tokenize(
    key: str,
    settings: Mapping[str, str],
    input_digest: str,
    chunks: InputChunks,
    config: DatasetPrepConfig,
    model_dir: Path,
    progress: Progress,
) -> TokenSet:
    """Tokenize an input and commit its tokens under `key`; chunks that others have are not tokenized.

    Raises:
        DataError: the input cannot be read or has no known layout, or changed while it was read.
        ModelError: the tokenizer cannot be loaded, or has no chat template where one is needed.
        StoreError: the store cannot be written.
    """
    target = tokens_dir(key)
    progress = Throttled(progress)
    with staging(target) as folder:
        all_chunks, layout = _peeked(chunks)
        chats = layout is None or layout.shape is not Shape.TEXT
        lenders = _lenders(key, config.verify)
        known = known_chunks(list(lenders))
        borrowed = encode_into(
            folder,
            # Never a name that another artifact has a link of, whatever became of the one it was linked from.
            f"part-{secrets.token_hex(8)}.arrow",
            all_chunks,
            lambda: remembered_setup(model_dir, config.train_on, chats, settings),
            {digest: stored for digest, (stored, _) in known.items()},
            lambda: progress("tokenize", chunks.bytes_read, chunks.size_bytes),
        )
        if chunks.digest != input_digest:
            raise DataError(f"{config.data_title}: changed while it was being read; run the command again")
        records: dict[str, FileRecord] = {}
        for lender, manifest in lenders.items():
            for part in borrowed.intersection(manifest.files).difference(records):
                _link(lender / part, folder / part)
                records[part] = manifest.files[part]
        manifest = TokensManifest(
            key=key,
            parts={**settings, "input": input_digest},
            files=file_records(folder, records),
            created=time.time(),
        )
        commit(folder, target, manifest)
    return TokenSet(target)


def tokens_dir(key: str) -> Path:
    """Where the artifact of a key lives."""
    return home_dir() / "store" / "tokens" / key


def _lenders(key: str, in_full: bool) -> dict[Path, TokensManifest]:
    """Whole artifacts made with the same settings, newest first."""
    dated = []
    for folder in tokens_dir(key).parent.glob(f"{key.partition('-')[0]}-*"):
        manifest, _ = find_artifact(folder, TokensManifest)
        if manifest is not None:
            dated.append((manifest.created, folder, manifest))
    newest = sorted(dated, key=lambda entry: -entry[0])[:_MAX_LENDERS]
    return {folder: manifest for _, folder, manifest in newest if _can_lend(folder, in_full)}


def _can_lend(folder: Path, in_full: bool) -> bool:
    try:
        known_chunks([folder])
    except _UNREADABLE:
        return False
    return not in_full or verify(folder) is None


def _peeked(chunks: InputChunks) -> tuple[Iterator[RawChunk], Layout | None]:
    rest = iter(chunks)
    first = list(islice(rest, 1))
    return chain(first, rest), first[0].layout if first else None


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
