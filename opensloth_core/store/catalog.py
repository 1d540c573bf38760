"""What is in the store: prepared data, tokens, and models with an adapter merged into them.

    store/prepared/<key>/      store/tokens/<key>/      models/merged-<digest>/

Only manifests and the names of files are read. Tokens of inputs that have chunks in common share files by
hard links; their bytes are there once, and are counted once in a total.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from opensloth_core.errors import ConfigError
from opensloth_core.store.artifact import ManifestError, damage, read_manifest
from opensloth_core.store.home import home_dir
from opensloth_core.store.pins import pinned_keys
from opensloth_core.store.prepared import PreparedManifest, prepared_dir
from opensloth_core.store.tokens import TokensManifest, tokens_dir

Kind = Literal["prepared", "tokens", "merged"]

MERGED = "merged-"
"""What the folder of a merged model is called before its key."""

SHORT_KEY = 8
"""Characters of a key that people are shown."""

_MAX_NAMED = 3

Inode = tuple[int, int]
"""Device and number of a file's bytes, whatever it is called."""


@dataclass(frozen=True)
class StoredFile:
    """A file of an artifact, as it is on disk."""

    name: str
    inode: Inode
    size_bytes: int
    num_links: int
    """Names that its bytes have, here and elsewhere."""


@dataclass(frozen=True)
class Artifact:
    """One folder of the store."""

    key: str
    kind: Kind
    folder: Path
    manifest: PreparedManifest | TokensManifest | None
    """None of a merged model, and where it cannot be read."""

    problem: str | None
    """What is wrong with its files by existence and size, or None."""

    created: float
    """Unix seconds."""

    last_used: float
    """Unix seconds: when a run last worked with it, or when it was made."""

    files: tuple[StoredFile, ...]
    is_pinned: bool

    @property
    def short_key(self) -> str:
        """Enough of the key for a person to tell it by."""
        return short(self.key)

    @property
    def parts(self) -> dict[str, str]:
        """What its key is made of; nothing where that is not known."""
        return {} if self.manifest is None else self.manifest.parts

    @property
    def size_bytes(self) -> int:
        """Bytes of its files, those that other artifacts share included."""
        return sum(file.size_bytes for file in self.files)

    def is_made_from(self, tokens: "Artifact") -> bool:
        """Whether this is data that was prepared from some tokens: all that decides them decides this too."""
        if self.kind != "prepared" or tokens.kind != "tokens" or not tokens.parts:
            return False
        return tokens.parts.items() <= self.parts.items()


def short(key: str) -> str:
    """Enough of a key for a person to tell it by; of tokens, from the part that tells their content."""
    return _telling(key)[:SHORT_KEY]


def _telling(key: str) -> str:
    # All tokens of the same settings begin with the same part.
    return key.rpartition("-")[2]


def catalog() -> list[Artifact]:
    """Everything in the store, last made first; what vanishes meanwhile is left out."""
    pins = pinned_keys()
    prepared = list(_artifacts(prepared_dir(""), "[!.]*", "prepared", PreparedManifest, pins))
    tokens = list(_artifacts(tokens_dir(""), "[!.]*", "tokens", TokensManifest, pins))
    merged = list(_artifacts(home_dir() / "models", f"{MERGED}*", "merged", None, pins))
    return sorted([*prepared, *tokens, *merged], key=lambda artifact: -artifact.created)


def size_on_disk(artifacts: Iterable[Artifact]) -> int:
    """Bytes of all files of some artifacts, each counted once whatever number of names it has."""
    return sum({file.inode: file.size_bytes for one in artifacts for file in one.files}.values())


def freed_bytes(artifacts: Iterable[Artifact]) -> int:
    """Bytes that removing some artifacts gives back: of files that have no other name anywhere."""
    files = [file for artifact in artifacts for file in artifact.files]
    names = Counter(file.inode for file in files)
    gone = {file.inode: file.size_bytes for file in files if names[file.inode] >= file.num_links}
    return sum(gone.values())


def find_artifact(called: str, artifacts: list[Artifact]) -> Artifact:
    """The artifact of a key or of how it begins.

    Raises:
        ConfigError: there is none, or several begin so.
    """
    wanted = called.strip().lower().rstrip("/").rpartition("/")[2].removeprefix(MERGED)
    found = [
        artifact
        for artifact in artifacts
        if wanted and (artifact.key.startswith(wanted) or _telling(artifact.key).startswith(wanted))
    ]
    exact = [artifact for artifact in found if artifact.key == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise ConfigError(f"{called}: {len(found)} keys begin so; give more of one: {_named(found)}")
    if not artifacts:
        raise ConfigError(f"{called}: no artifact has this key (nothing is prepared yet)")
    raise ConfigError(f"{called}: no artifact has this key{_nearest(wanted, artifacts)}")


def _nearest(wanted: str, artifacts: list[Artifact]) -> str:
    # Imported here: most keys are right.
    from difflib import get_close_matches

    length = max(len(wanted), SHORT_KEY)
    beginnings = {_telling(artifact.key)[:length]: artifact for artifact in artifacts}
    close = get_close_matches(wanted, beginnings, n=1, cutoff=0.7)
    if close:
        return f"; did you mean {beginnings[close[0]].short_key}?"
    return f"; the newest: {_named(artifacts)}"


def _named(artifacts: list[Artifact]) -> str:
    others = f" and {len(artifacts) - _MAX_NAMED} more" if len(artifacts) > _MAX_NAMED else ""
    keys = [_telling(artifact.key) for artifact in artifacts]
    width = _distinct_length(keys)
    return ", ".join(key[:width] for key in keys[:_MAX_NAMED]) + others


def _distinct_length(keys: list[str]) -> int:
    """How many characters tell some keys apart."""
    longest = max(map(len, keys))
    return next(
        (n for n in range(SHORT_KEY, longest) if len({key[:n] for key in keys}) == len(keys)), longest
    )


def _artifacts(
    store: Path,
    pattern: str,
    kind: Kind,
    manifest_type: type[PreparedManifest | TokensManifest] | None,
    pins: frozenset[str],
) -> Iterator[Artifact]:
    for folder in store.glob(pattern):
        key = folder.name.removeprefix(MERGED)
        manifest, problem = None, None
        try:
            if not folder.is_dir():
                continue
            used = folder.stat().st_mtime
            if manifest_type is not None:
                try:
                    manifest = read_manifest(folder, manifest_type)
                    problem = damage(folder, manifest.files)
                except ManifestError as err:
                    problem = str(err)
            created = manifest.created if manifest else _oldest_change(folder)
            files = tuple(_files(folder))
        except FileNotFoundError:
            continue
        is_pinned, used = key in pins, max(used, created)
        yield Artifact(key, kind, folder, manifest, problem, created, used, files, is_pinned)


def _files(folder: Path) -> Iterator[StoredFile]:
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        if path.is_file():
            inode = (status.st_dev, status.st_ino)
            yield StoredFile(path.relative_to(folder).as_posix(), inode, status.st_size, status.st_nlink)


def _oldest_change(folder: Path) -> float:
    return min(path.stat().st_mtime for path in [folder, *folder.iterdir()])
