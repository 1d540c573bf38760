"""Removes artifacts so that no run loses what it works with, however the two meet.

A run claims its data (`launch.json`), then looks for it, then records its use (`usage.record_use`). Whoever
removes it does so under the store's lock and the artifact's own, in three steps:

    1. nobody claims it: take its manifest away, so that it is not found any more
    2. look again: where a run has claimed it meanwhile, put the manifest back
    3. otherwise rename the folder to a staging name, and delete that

A run that claimed it before step 2 is seen there; one that claims it later finds nothing and prepares it.
Until step 3 all other files are in place, so that who found it before step 1 misses none of them. The same
holds for tokens and those who borrow from them, whose claim is the lock that they tokenize under. A process
that is killed in between leaves an artifact without a manifest, which the next run makes again.
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.store.artifact import LOCK, MANIFEST, STAGING
from opensloth_core.store.catalog import Artifact
from opensloth_core.store.file_lock import is_held, lock_file
from opensloth_core.store.home import home_dir
from opensloth_core.store.pins import pinned_keys
from opensloth_core.store.usage import Claim, claims

PINNED = "it is pinned"

_TAKEN_AWAY = ".manifest.removed"

_AT_ONCE = 64
"""Artifacts removed under one lock, which runs wait for."""


@dataclass(frozen=True)
class Removal:
    """What became of an artifact that was to be removed."""

    artifact: Artifact
    spared: str | None
    """Why it is still there; None when it is not."""


def remove(artifacts: Sequence[Artifact], damaged: bool = False) -> list[Removal]:
    """Remove some artifacts; none that a live run works with, that is being made, or that is pinned.

    Args:
        artifacts: as `catalog` gave them.
        damaged: they are of no use; those that are pinned, or were used since then, go too.

    Raises:
        StoreError: the store cannot be written.
    """
    removals: list[Removal] = []
    for store in sorted({artifact.folder.parent for artifact in artifacts}):
        here = [artifact for artifact in artifacts if artifact.folder.parent == store]
        for start in range(0, len(here), _AT_ONCE):
            batch = here[start : start + _AT_ONCE]
            removing = _Removing(store, batch, damaged)
            try:
                removing.run()
            except OSError as err:
                raise StoreError(
                    f"{store}: artifacts cannot be removed: {err.strerror or err}; do it as a user who may "
                    "write the store"
                ) from err
            finally:
                for folder in removing.staged:
                    # What cannot be removed now is abandoned; the next who writes here removes it.
                    shutil.rmtree(folder, ignore_errors=True)
            removals += [Removal(artifact, removing.spared.get(artifact.key)) for artifact in batch]
    return removals


def in_use(artifact: Artifact, claimed: Sequence[Claim], ours: Collection[Path] = ()) -> str | None:
    """By whom an artifact is worked with now, in words, or None.

    Args:
        claimed: by live runs, and for a merged model by all runs.
        ours: locks that this process holds.
    """
    live = [claim for claim in claimed if claim.is_live]
    if artifact.kind == "prepared":
        found = next((claim.run for claim in live if claim.prepared_key == artifact.key), None)
        return f"run {found} works with it" if found else None
    if artifact.kind == "merged":
        starting = next((claim.run for claim in live if not claim.is_clear), None)
        if starting:
            return f"run {starting} is starting, and may need it"
        found = next((claim.run for claim in claimed if str(artifact.folder) in claim.model_dirs), None)
        return f"what run {found} trained is based on it" if found else None
    prefix = artifact.key.partition("-")[0]
    makers = _locks_dir().glob(f"tokens-{prefix}-*.lock")
    if any(path not in ours and is_held(path) for path in makers):
        return "tokens that may share its chunks are being made"
    return None


class _Removing:
    """The removal of some artifacts of one folder; used once, under that folder's lock."""

    def __init__(self, store: Path, artifacts: Sequence[Artifact], damaged: bool) -> None:
        self._store, self._artifacts, self._damaged = store, artifacts, damaged
        self._has_merged = any(artifact.kind == "merged" for artifact in artifacts)
        self._locks: dict[Path, int] = {}
        self._taken: dict[str, Path | None] = {}
        self.spared: dict[str, str] = {}
        self.staged: list[Path] = []

    def run(self) -> None:
        """Bring every artifact to `staged` or to `spared`.

        Raises:
            OSError: the store cannot be written; what was taken away already is back.
        """
        try:
            with _locked(self._store / LOCK):
                claimed = claims(live_only=not self._has_merged)
                for artifact in self._artifacts:
                    reason = self._reason_to_spare(artifact, claimed) or self._held_by_others(artifact)
                    if reason:
                        self.spared[artifact.key] = reason
                    elif artifact.folder.is_dir():
                        self._taken[artifact.key] = self._take_away(artifact)
                claimed = claims(live_only=not self._has_merged)
                for artifact in self._artifacts:
                    if artifact.key in self._taken and (reason := self._claimed(artifact, claimed)):
                        self._put_back(artifact)
                        self.spared[artifact.key] = reason
                for artifact in self._artifacts:
                    if artifact.key in self._taken:
                        self.staged.append(self._taken[artifact.key] or self._set_aside(artifact))
                        del self._taken[artifact.key]
        finally:
            with contextlib.suppress(OSError):
                for artifact in self._artifacts:
                    if artifact.key in self._taken:
                        self._put_back(artifact)
            for descriptor in self._locks.values():
                os.close(descriptor)

    def _reason_to_spare(self, artifact: Artifact, claimed: Sequence[Claim]) -> str | None:
        if reason := self._claimed(artifact, claimed):
            return reason
        with contextlib.suppress(FileNotFoundError):
            if not self._damaged and artifact.folder.stat().st_mtime > artifact.last_used:
                return "a run has just used it"
        return None

    def _claimed(self, artifact: Artifact, claimed: Sequence[Claim]) -> str | None:
        if not self._damaged and artifact.key in pinned_keys():
            return PINNED
        return in_use(artifact, claimed, self._locks)

    def _held_by_others(self, artifact: Artifact) -> str | None:
        """Lock an artifact against those who would make it; why it is spared, where one of them does now."""
        if artifact.kind == "merged":
            return None
        path = _locks_dir() / f"{artifact.kind}-{artifact.key}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = lock_file(path, wait=False)
        if descriptor is None:
            return "it is being prepared"
        self._locks[path] = descriptor
        return None

    def _take_away(self, artifact: Artifact) -> Path | None:
        """Have an artifact not be found any more; the folder it is in now, where that is another one."""
        if artifact.kind == "merged":  # has no manifest that it could be without
            return self._set_aside(artifact)
        with contextlib.suppress(FileNotFoundError):  # damaged
            (artifact.folder / MANIFEST).rename(artifact.folder / _TAKEN_AWAY)
        return None

    def _put_back(self, artifact: Artifact) -> None:
        folder = self._taken.pop(artifact.key)
        if folder is not None:
            folder.rename(artifact.folder)
            return
        with contextlib.suppress(FileNotFoundError):
            (artifact.folder / _TAKEN_AWAY).rename(artifact.folder / MANIFEST)
            os.utime(artifact.folder, (artifact.last_used, artifact.last_used))

    def _set_aside(self, artifact: Artifact) -> Path:
        folder = self._store / f"{STAGING}{artifact.folder.name}-{secrets.token_hex(8)}"
        artifact.folder.rename(folder)
        return folder


def _locks_dir() -> Path:
    return home_dir() / "store" / "locks"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = lock_file(path, wait=True)
    assert descriptor is not None, "waited for"
    try:
        yield
    finally:
        os.close(descriptor)
