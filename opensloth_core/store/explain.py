"""Why a command would find its data in the store or not, part by part.

A miss is told against the nearest data that is there: of the same rows, or of rows in common with them, with
the fewest other parts that differ. What is said of rows is computed from the digests of their chunks; see
`input_change.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.input_chunks import InputChunks
from opensloth_core.data.origins import file_names
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.data.tokens import read_chunks
from opensloth_core.store.catalog import Artifact, catalog
from opensloth_core.store.input_change import (
    FileChange,
    FileChunks,
    file_changes,
    read_files,
    rows_in_common,
    stored_files,
)
from opensloth_core.store.part_change import INPUT, Difference, differences, thing
from opensloth_core.store.prepared import PreparedKey, PreparedManifest, prepared_key
from opensloth_core.store.tokens import ALL_ROWS, TokensManifest, tokens_key

_SHAPES_CHUNKS = ("method", "map")
"""Parts that the digest of a chunk depends on beside its rows."""


@dataclass(frozen=True)
class InputChange:
    """What became of the rows since the nearest data was prepared."""

    rows_before: int
    files: tuple[FileChange, ...] | None
    """None where files cannot be compared, for want of the tokens that know their chunks."""

    rows: int | None = None
    """Rows now, where they were counted."""


@dataclass(frozen=True)
class TokensFound:
    """What of the tokens is there already."""

    state: Literal["all", "some", "none", "unknown"]
    """`unknown` of a sample, whose rows are drawn when it is prepared."""

    rows: int | None = None
    """Rows of the input, where they were counted."""

    rows_reused: int = 0


@dataclass(frozen=True)
class Explanation:
    """What a command would find."""

    key: PreparedKey
    found: Artifact | None
    """The whole data of the key; a miss without."""

    problem: str | None = None
    """What is wrong with the data of the key that is there."""

    nearest: Artifact | None = None
    """None where nothing in the store has a row in common."""

    differences: tuple[Difference, ...] = ()
    """How the key differs from the nearest one's, but for the input."""

    input_change: InputChange | None = None
    """None where the rows are the same, or there is nothing to compare with."""

    tokens: TokensFound | None = None
    """None on a hit."""


@dataclass(frozen=True)
class _Tokens:
    """A tokens artifact with what it knows of its input."""

    artifact: Artifact
    manifest: TokensManifest
    files: list[FileChunks]
    is_of_all_rows: bool

    @property
    def settings(self) -> dict[str, str]:
        return {name: value for name, value in self.manifest.parts.items() if name != INPUT}

    def has_chunks_of(self, key: PreparedKey) -> bool:
        """Whether equal rows have equal chunks here and under a key."""
        return all(self.manifest.parts.get(name) == key.parts[name] for name in _SHAPES_CHUNKS)

    @classmethod
    def of(cls, artifact: Artifact) -> "_Tokens | None":
        manifest = artifact.manifest
        if not isinstance(manifest, TokensManifest) or artifact.problem:
            return None
        try:
            chunks = read_chunks(artifact.folder)
        except (OSError, ValueError, KeyError, TypeError):  # damaged, or removed at this moment
            return None
        settings = {name: value for name, value in manifest.parts.items() if name != INPUT}
        whole = tokens_key(settings, manifest.parts[INPUT], file_names(chunks), ALL_ROWS)
        return cls(artifact, manifest, stored_files(chunks), whole == manifest.key)


def explain(config: DatasetPrepConfig, model_dir: Path, num_shards: int) -> Explanation:
    """Whether the data that `config` asks for is in the store, and if not, why.

    On a miss the input is read as a whole, unless data of the same rows is there.

    Args:
        config: the settings of a preparation.
        model_dir: folder of the tokenizer.
        num_shards: number of GPUs.

    Raises:
        DataError: the input cannot be read, or has no known layout.
        ModelError: the model has no tokenizer.
    """
    files = find_inputs(config.data, config.split)
    key = prepared_key(config, model_dir, num_shards, files)
    artifacts = catalog()
    own = next((one for one in artifacts if one.kind == "prepared" and one.key == key.digest), None)
    if own is not None and own.problem is None:
        return Explanation(key, own)
    tokens = [found for one in artifacts if (found := _Tokens.of(one))]
    lenders = [one for one in tokens if one.settings == key.token_settings]
    comparable = [one for one in tokens if one.is_of_all_rows and one.has_chunks_of(key)]
    others = [one for one in artifacts if isinstance(one.manifest, PreparedManifest) and one is not own]
    same_rows = [one for one in others if one.parts[INPUT] == key.input_digest]
    has_all = any(one.manifest.key == _key_of_tokens(key, files) for one in lenders)
    now = None
    if (lenders and not has_all) or (others and not same_rows):
        tails = [file.tail for one in comparable for file in one.files]
        now = read_files(InputChunks(files, config), tails)
    reusable = _tokens_found(config, lenders, has_all, now)
    if own is not None:
        return Explanation(key, None, own.problem, tokens=reusable)
    related = same_rows or _related(others, comparable, files, now or [])
    if not related:
        return Explanation(key, None, tokens=reusable)
    nearest = min(related, key=lambda one: _distance(key, one))
    return Explanation(
        key,
        found=None,
        nearest=nearest,
        differences=tuple(
            differences(
                key.parts, nearest.parts, key.row_settings if reusable.state in ("all", "some") else ()
            )
        ),
        input_change=None if same_rows else _input_change(nearest, comparable, now),
        tokens=reusable,
    )


def _key_of_tokens(key: PreparedKey, files: Sequence[InputFile]) -> str:
    return tokens_key(key.token_settings, key.input_digest, [file.name for file in files], ALL_ROWS)


def _distance(key: PreparedKey, artifact: Artifact) -> int:
    """In how many things two keys differ; a tokenizer's files are one thing, and so is our code."""
    return len({thing(one.part) for one in differences(key.parts, artifact.parts)})


def _related(
    others: Sequence[Artifact],
    comparable: Sequence[_Tokens],
    files: Sequence[InputFile],
    now: Sequence[FileChunks],
) -> list[Artifact]:
    """Prepared data with many rows in common; failing that, from a file of the same name."""
    common = {
        one.key: max(
            (rows_in_common(now, tokens.files) for tokens in comparable if one.is_made_from(tokens.artifact)),
            default=0,
        )
        for one in others
    }
    most = max(common.values(), default=0)
    if most:
        return [one for one in others if common[one.key] >= most / 2]
    names = {file.name for file in files}
    return [one for one in others if names & set(_files_of(one))]


def _files_of(artifact: Artifact) -> tuple[str, ...]:
    return artifact.manifest.inputs if isinstance(artifact.manifest, PreparedManifest) else ()


def _input_change(
    nearest: Artifact, comparable: Sequence[_Tokens], now: Sequence[FileChunks] | None
) -> InputChange:
    assert isinstance(nearest.manifest, PreparedManifest), "prepared data has its manifest"
    before = nearest.manifest.ledger.rows_read
    own = next((one for one in comparable if nearest.is_made_from(one.artifact)), None)
    rows = None if now is None else sum(file.num_rows for file in now)
    if own is None or now is None:
        return InputChange(before, None, rows)
    return InputChange(before, tuple(file_changes(now, own.files)), rows)


def _tokens_found(
    config: DatasetPrepConfig, lenders: Sequence[_Tokens], has_all: bool, now: Sequence[FileChunks] | None
) -> TokensFound:
    if has_all:
        return TokensFound("all")
    if not lenders:
        return TokensFound("none", None if now is None else sum(file.num_rows for file in now))
    if config.samples is not None or now is None:
        return TokensFound("unknown")
    known = {digest for one in lenders for file in one.files for digest in file.digests}
    rows = sum(file.num_rows for file in now)
    reused = sum(num for file in now for digest, num in file.chunks if digest in known)
    return TokensFound("all" if reused == rows else "some" if reused else "none", rows, reused)
