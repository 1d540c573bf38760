"""What an artifact holds, in the few words and numbers that a person tells it by."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import pyarrow as pa

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.origins import file_names
from opensloth_core.data.tokens import TokenSet
from opensloth_core.errors import ConfigError
from opensloth_core.store.catalog import Artifact
from opensloth_core.store.prepared import PreparedManifest
from opensloth_core.store.tokens import TokensManifest

_TOKENIZER = "tokenizer: tokenizer.json"


@dataclass(frozen=True)
class Contents:
    """What is in an artifact; None where that is not known or makes no sense."""

    method: str | None = None
    model: str | None = None
    """The model it was made for, as the user called it; of tokens, at least their tokenizer."""

    data: str | None = None
    gpus: int | None = None
    rows: int | None = None
    """Rows that are trained on or held out; of tokens, all that were read."""

    tokens: int | None = None


def contents(artifact: Artifact, artifacts: Sequence[Artifact]) -> Contents:
    """What an artifact holds.

    Args:
        artifacts: everything in the store, since tokens are told by what was prepared from them.
    """
    if isinstance(artifact.manifest, PreparedManifest):
        return _of_prepared(artifact.manifest)
    if isinstance(artifact.manifest, TokensManifest):
        return _of_tokens(artifact, artifact.manifest, artifacts)
    return Contents()


def titles(preparation: dict[str, Any]) -> tuple[str | None, str | None]:
    """Model and data in a word or two each, from the settings that data was prepared with."""
    try:
        config = DatasetPrepConfig.of(preparation)
    except ConfigError:  # of a version that had other settings
        return None, None
    return config.model_title, config.data_title


def _of_prepared(manifest: PreparedManifest) -> Contents:
    model, data = titles(manifest.preparation)
    ledger = manifest.ledger
    return Contents(
        method=manifest.parts.get("method"),
        model=model,
        data=data,
        gpus=len(manifest.shards),
        rows=ledger.rows_kept + ledger.rows_held_out,
        tokens=ledger.tokens_trained + ledger.tokens_masked,
    )


def _of_tokens(artifact: Artifact, manifest: TokensManifest, artifacts: Sequence[Artifact]) -> Contents:
    users = [one for one in artifacts if one.is_made_from(artifact)]
    named = [titles(one.manifest.preparation) for one in users if isinstance(one.manifest, PreparedManifest)]
    model = next((model for model, _ in named if model), None)
    tokenizer = manifest.parts.get(_TOKENIZER)
    if model is None and tokenizer:
        model = f"tokenizer {tokenizer[:4]}…"
    method = manifest.parts.get("method")
    try:
        tokens = TokenSet(artifact.folder)
    except (OSError, ValueError, KeyError, IndexError, TypeError, pa.ArrowInvalid):  # damaged
        return Contents(method=method, model=model)
    files = file_names(tokens.chunks)
    title = PurePath(files[0]).stem + (f" +{len(files) - 1}" if len(files) > 1 else "") if files else None
    return Contents(
        method=method,
        model=model,
        data=title,
        rows=tokens.num_rows,
        tokens=int(tokens.table.lengths_E.sum(dtype="int64")),
    )
