"""Prepared data in the store: its key, its manifest, finding it and making it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.ledger import Ledger
from opensloth_core.data.version import preparation_digest
from opensloth_core.errors import DataError, StoreError
from opensloth_core.runs.events import Progress, no_progress
from opensloth_core.store.artifact import (
    MANIFEST,
    Manifest,
    commit,
    damage,
    file_records,
    staging,
)
from opensloth_core.store.digest import file_digest, parts_digest
from opensloth_core.store.home import home_dir
from opensloth_core.store.tokenizer_files import tokenizer_parts


class PreparedManifest(Manifest):
    """What a prepared artifact is, and every part of the key it is found by."""

    key: str
    """Name of the artifact in the store."""

    parts: dict[str, str]
    """What the key is made of, by name."""

    preparation: dict[str, Any]
    """The settings it was made with, as `DatasetPrepConfig` takes them."""

    shards: tuple[str, ...]
    """Shard files, one a rank, in rank order."""

    ledger: Ledger
    """Where every row and token went."""

    created: float
    """Unix seconds."""


@dataclass(frozen=True)
class PreparedKey:
    """The key of prepared data: a digest over named parts."""

    parts: dict[str, str]

    @property
    def digest(self) -> str:
        return parts_digest(self.parts)


def prepared_dir(key: str) -> Path:
    """Where the artifact of a key lives."""
    return home_dir() / "store" / "prepared" / key


def prepared_key(config: DatasetPrepConfig, model_dir: Path, num_shards: int) -> PreparedKey:
    """The key of the data `config` prepares: content, tokenizer, GPU count, all that shapes rows.

    The input counts by its bytes, so a touched or renamed file keeps its key and an edited one does not.

    Raises:
        DataError: the input cannot be read.
        ModelError: the model has no tokenizer.
    """
    sample = f"{config.samples} with seed {config.seed}" if config.samples else "all"
    return PreparedKey(
        {
            "input": file_digest(Path(config.data[0])),
            "method": config.method,
            "GPU count": str(num_shards),
            "max_seq_length": str(config.max_seq_length),
            "samples": sample,
            "max_rejected": str(config.max_rejected),
            **tokenizer_parts(model_dir),
            **preparation_digest(),
        }
    )


def find_prepared(key: str) -> tuple[PreparedManifest | None, str | None]:
    """The whole artifact of a key, or None and what is wrong with the one that is there, if any."""
    folder = prepared_dir(key)
    if not folder.is_dir():
        return None, None
    try:
        manifest = PreparedManifest.model_validate_json((folder / MANIFEST).read_text())
    except (OSError, ValueError) as err:
        return None, f"{MANIFEST} cannot be read: {str(err).splitlines()[0]}"
    problem = damage(folder, manifest.files)
    return (None, problem) if problem else (manifest, None)


def open_prepared(key: str) -> PreparedManifest:
    """The whole artifact of a key.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    manifest, problem = find_prepared(key)
    if manifest is None:
        raise StoreError(f"{prepared_dir(key)}: {problem or 'no such prepared data'}; run the command again")
    return manifest


def prepare(
    config: DatasetPrepConfig,
    model_dir: Path,
    num_shards: int,
    key: PreparedKey,
    progress: Progress = no_progress,
) -> PreparedManifest:
    """Prepare data and commit it to the store under `key`, one shard a rank.

    Raises:
        DataError: the input cannot be used, or changed while it was read.
        ModelError: the tokenizer cannot be loaded or has no chat template.
        StoreError: the store cannot be written.
    """
    from opensloth_core.data.load_tokenizer import load_tokenizer
    from opensloth_core.data.prepare import prepare_into

    target = prepared_dir(key.digest)
    with staging(target) as folder:
        tokenizer = load_tokenizer(model_dir)
        prepared = prepare_into(folder, config, num_shards, tokenizer, progress)
        if prepared.input_digest != key.parts["input"]:
            raise DataError(f"{config.data}: changed while it was being read; run the command again")
        manifest = PreparedManifest(
            key=key.digest,
            parts=key.parts,
            preparation={
                **config.model_dump(mode="json", exclude={"data_output"}),
                "gpus": num_shards,
            },
            shards=tuple(prepared.shards),
            files=file_records(folder),
            ledger=prepared.ledger,
            created=time.time(),
        )
        commit(folder, target, manifest)
    return manifest
