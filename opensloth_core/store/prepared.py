"""Prepared data in the store: its key, its manifest, finding it and making it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.ledger import Ledger
from opensloth_core.data.read.fingerprint import input_digest
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.version import preparation_digest
from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.runs.events import Progress, no_progress
from opensloth_core.store.artifact import MANIFEST, Manifest, commit, file_records, staging
from opensloth_core.store.digest import parts_digest
from opensloth_core.store.given import given_data
from opensloth_core.store.hashing import Hashing
from opensloth_core.store.home import home_dir
from opensloth_core.store.single_flight import A_PROGRAM, Asker
from opensloth_core.store.tokenizer_files import tokenizer_parts
from opensloth_core.store.verify import find_artifact

ROW_SETTINGS = ("GPU count", "max_seq_length", "overlong", "samples", "eval_size", "max_rejected")
"""Parts of a key that decide where tokens are in the shards."""

TOKENIZER_PART = "tokenizer: "
"""How the names of a tokenizer's parts of a key begin."""


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

    inputs: tuple[str, ...] = ()
    """Names of the files with rows, by their number in `origins.arrow`."""

    ledger: Ledger
    """Where every row and token went."""

    created: float
    """Unix seconds."""


@dataclass(frozen=True)
class PreparedKey:
    """The key of prepared data: a digest over named parts."""

    input_digest: str
    """What the rows are."""

    token_settings: dict[str, str]
    """What else decides the tokens of a row."""

    row_settings: dict[str, str]
    """What decides which of the tokens are where in the shards."""

    @property
    def parts(self) -> dict[str, str]:
        return {"input": self.input_digest, **self.token_settings, **self.row_settings}

    @property
    def digest(self) -> str:
        return parts_digest(self.parts)


def prepared_dir(key: str) -> Path:
    """Where the artifact of a key lives."""
    return home_dir() / "store" / "prepared" / key


def prepared_key(
    config: DatasetPrepConfig,
    model_dir: Path,
    num_shards: int,
    files: Sequence[InputFile] | None = None,
    progress: Progress = no_progress,
) -> PreparedKey:
    """The key of the data `config` prepares: content, tokenizer, GPU count, all that shapes rows.

    The input counts by its content, so a touched or renamed file keeps its key and an edited one does
    not. Settings count where they decide anything: the seed only where rows are drawn.

    Args:
        files: the input's files, where they are known already.
        progress: told of the bytes that are hashed, where those are many.

    Raises:
        DataError: the input cannot be read.
        ModelError: the model has no tokenizer.
        ConfigError: the prepared data that `config` names is for another tokenizer or GPU count, or gone.
    """
    if config.prepared is not None:
        return _key_of_given(config, model_dir, num_shards)
    if files is None:
        files = find_inputs(config.data, config.split)
    eval_size = "none" if config.eval_size is None else f"{config.eval_size} with seed {config.seed}"
    return PreparedKey(
        input_digest=input_digest(files, file_digest=Hashing(files, progress)),
        token_settings={
            "method": config.method,
            "map": json.dumps(config.map, sort_keys=True),
            "train_on": config.train_on,
            **tokenizer_parts(model_dir),
            **preparation_digest(),
        },
        row_settings={
            "GPU count": str(num_shards),
            "max_seq_length": str(config.max_seq_length),
            "overlong": config.overlong,
            "samples": _samples(config),
            "eval_size": eval_size,
            "max_rejected": str(config.max_rejected),
        },
    )


def _key_of_given(config: DatasetPrepConfig, model_dir: Path, num_shards: int) -> PreparedKey:
    """The key of the prepared data that `config` names, which is used as it is."""
    assert config.prepared is not None, "the caller looked"
    given = given_data(config.prepared).manifest
    tokenizer = tokenizer_parts(model_dir)
    made_with = {name: part for name, part in given.parts.items() if name.startswith(TOKENIZER_PART)}
    if tokenizer != made_with:
        odd = sorted(name for name, _ in tokenizer.items() ^ made_with.items())[0]
        raise ConfigError(
            f"model {config.model}: its {odd} is not that of {given.preparation.get('model')}, for which the "
            f"prepared data {given.key[:12]} was made; give that model, or prepare the data for this one"
        )
    if num_shards != len(given.shards):
        raise ConfigError(
            f"gpus {num_shards}: contradicts the prepared data {given.key[:12]}, made for "
            f"{len(given.shards)}; drop it, or prepare the data again"
        )
    rows = {name: part for name, part in given.parts.items() if name in ROW_SETTINGS}
    tokens = {name: part for name, part in given.parts.items() if name not in (*ROW_SETTINGS, "input")}
    return PreparedKey(given.parts["input"], tokens, rows)


def find_prepared(key: str, in_full: bool = False) -> tuple[PreparedManifest | None, str | None]:
    """The whole artifact of a key, or None and what is wrong with the one that is there, if any.

    Args:
        in_full: read every byte of it; otherwise its files count by existence and size.
    """
    manifest, problem = find_artifact(prepared_dir(key), PreparedManifest, in_full)
    if manifest is not None and manifest.key != key:
        return None, f"{MANIFEST} is that of {manifest.key}"
    return manifest, problem


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
    asker: Asker = A_PROGRAM,
) -> PreparedManifest:
    """Prepare data and commit it to the store under `key`, one shard a rank.

    Args:
        asker: who waits, where another process tokenizes the same rows.

    Raises:
        DataError: the input cannot be used, or changed while it was read.
        ModelError: the tokenizer cannot be loaded or has no chat template.
        StoreError: the store cannot be written.
    """
    from opensloth_core.data.shard import shard_name
    from opensloth_core.store.sampled_tokens import tokens_to_prepare

    target = prepared_dir(key.digest)
    preparation = tokens_to_prepare(config, model_dir, key.token_settings, key.input_digest, progress, asker)
    with staging(target) as folder:
        ledger = preparation.write(folder, num_shards, progress)
        manifest = PreparedManifest(
            key=key.digest,
            parts=key.parts,
            preparation={
                **config.model_dump(mode="json", exclude={"data_output", "verify", "prepared"}),
                "gpus": num_shards,
            },
            shards=tuple(shard_name(shard, num_shards) for shard in range(num_shards)),
            inputs=preparation.files,
            files=file_records(folder),
            ledger=ledger,
            created=time.time(),
        )
        return commit(folder, target, manifest)


def _samples(config: DatasetPrepConfig) -> str:
    if config.samples is None:
        return "all"
    drawn = f" with seed {config.seed}" if config.samples_from == "random" else ""
    return f"{config.samples} from {config.samples_from}{drawn}"
