"""Versions of a model in a folder of this machine, or in one that machines share.

    models/<name>/current                  link to versions/<id>, replaced by one rename
    models/<name>/versions/<id>/           a version; see `opensloth_core.store.artifact`
    models/<name>/versions/.staging-…      one that is being written
    models/<name>/judged.json              how models were judged that are not in use
    models/<name>/.retrain.lock            locked by whoever makes new versions, as long as that takes

Whoever opens several files through `current` may see two versions: resolve it once, then open the files.
"""

import contextlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.registry.current_link import VERSIONS
from opensloth_core.registry.held import free_to_remove, held
from opensloth_core.registry.judgements import JUDGED, latest, newest, read_judgements, rolled_back, written
from opensloth_core.registry.kept import beyond, check_keep, check_replaced, rollback_target
from opensloth_core.registry.local_pointer import LocalPointer
from opensloth_core.registry.model_files import check_whole, copy_model
from opensloth_core.registry.names import is_id, new_id, number
from opensloth_core.registry.records import PromotionRecord, Version, VersionManifest
from opensloth_core.registry.working_with import user_of
from opensloth_core.store.artifact import (
    STAGING,
    ManifestError,
    commit,
    damage,
    discard,
    read_manifest,
    staging,
    unwritable,
)
from opensloth_core.store.durable import flush, make_folder
from opensloth_core.store.file_lock import lock_file


class LocalRegistry:
    """See `opensloth_core.registry.model_registry.Registry`."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.location = str(root / name)
        self._folder = root / name
        self._versions = self._folder / VERSIONS
        self._pointer = LocalPointer(self._folder)
        self._is_working = False

    def current(self) -> Version | None:
        while True:
            current = self._pointer.current_id()
            if current is None:
                return None
            try:
                return self._version(current)
            except ManifestError:
                # One that was current a moment ago may be gone by now.
                if self._pointer.current_id() == current:
                    raise

    def versions(self) -> list[Version]:
        unfinished = self._pointer.unfinished()
        found = []
        for name in self._ids():
            # Removed meanwhile, or damaged: nobody can go back to it.
            with contextlib.suppress(ManifestError):
                found.append(self._version(name))
        newest_first = sorted(found, key=lambda one: (number(one.id), one.manifest.created), reverse=True)
        return [one for one in newest_first if one.id != unfinished]

    def promote(
        self, adapter_dir: Path, record: PromotionRecord, keep: int, replacing: str | None = None
    ) -> Version:
        check_keep(keep)
        check_whole(adapter_dir)
        with self._working():
            target = self._versions / new_id(self._ids())
            with staging(target) as folder:
                files = copy_model(adapter_dir, folder)
                with self._pointer.switching():
                    before = self._pointer.current_id()
                    check_replaced(self.name, replacing, before)
                    self._note(rolled_back(self.versions(), before))
                    manifest = VersionManifest(
                        files=files, id=target.name, record=record, replaced=before, created=time.time()
                    )
                    self._pointer.announce(target.name)
                    manifest = commit(folder, target, manifest)
                    self._pointer.point_to(target.name)
            self._remove_beyond(keep)
        return Version.of(manifest, str(target), before)

    def rollback(self, to: str | None = None) -> Version:
        if not self._folder.is_dir():
            rollback_target(self.name, [], None, to)
        with self._writing(), self._pointer.switching():
            target = rollback_target(self.name, self.versions(), self._pointer.current_id(), to)
            self.local_dir(target)
            self._pointer.point_to(target.id)
        return target

    def local_dir(self, version: Version) -> Path:
        folder = self._versions / version.id
        try:
            problem = damage(folder, read_manifest(folder, VersionManifest).files)
        except ManifestError as err:
            problem = str(err) if folder.exists() else "was removed meanwhile"
        if problem:
            raise StoreError(f"{folder}: {problem}; {_another(self.name)}")
        return folder

    @contextmanager
    def hold(self, version: Version) -> Iterator[Path]:
        with held(self._versions / version.id):
            yield self.local_dir(version)

    def judged(self) -> PromotionRecord | None:
        return latest(self._noted(), self.versions())

    def judgements(self) -> list[PromotionRecord]:
        return newest([*self._noted(), *rolled_back(self.versions(), self._pointer.current_id())])

    def note_judged(self, record: PromotionRecord) -> None:
        with self._writing(), self._pointer.switching():
            self._note([record])

    @contextmanager
    def lock(self) -> Iterator[None]:
        path = self._folder / ".retrain.lock"
        with self._writing():
            descriptor = lock_file(path, wait=False)
        if descriptor is None:
            holder = path.read_text(errors="replace") or "another process"
            raise ConfigError(
                f"model {self.name}: {holder} is making a new version of it; wait until that has ended, or "
                "stop it"
            )
        try:
            with contextlib.suppress(OSError):  # on a full disk, nobody is named
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            self._is_working = True
            yield
        finally:
            self._is_working = False
            os.close(descriptor)

    def remove(self, version: Version) -> None:
        with self._writing(), self._pointer.switching():
            if version.id == self._pointer.current_id():
                raise ConfigError(
                    f"model {self.name}: {version.id} is the current version; roll back first, or remove the "
                    "model with all its versions"
                )
            self._note(rolled_back([version], self._pointer.current_id()))
            if reason := self._removed(version.id):
                raise ConfigError(f"model {self.name}: {version.id} stays: {reason}")

    def remove_all(self) -> None:
        away = self._folder.with_name(f"{STAGING}{self.name}-{secrets.token_hex(8)}")
        with self._writing(), self.lock(), self._pointer.switching(), contextlib.ExitStack() as stack:
            for name in self._ids():
                folder = self._versions / name
                is_free = stack.enter_context(free_to_remove(folder))
                if reason := user_of(folder) if is_free else "somebody reads it":
                    raise ConfigError(f"model {self.name}: {name} stays: {reason}")
            self._folder.rename(away)
        # What cannot be removed now is found by `os-train cache gc`.
        shutil.rmtree(away, ignore_errors=True)

    def _noted(self) -> list[PromotionRecord]:
        path = self._folder / JUDGED
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = None
        except OSError as err:
            raise StoreError(f"{path}: cannot be read: {err.strerror}") from err
        return read_judgements(data, str(path))

    def _note(self, more: list[PromotionRecord]) -> None:
        """Remember judgements, in a folder that can be written and while nobody else does."""
        if not more:
            return
        partial = self._folder / f".judged-{secrets.token_hex(8)}"
        try:
            partial.write_bytes(written(newest([*self._noted(), *more])))
            flush(partial)
            partial.rename(self._folder / JUDGED)
        finally:
            partial.unlink(missing_ok=True)

    def _ids(self) -> list[str]:
        try:
            return [path.name for path in self._versions.iterdir() if is_id(path.name)]
        except FileNotFoundError:
            return []
        except OSError as err:
            raise StoreError(f"{self._versions}: cannot be read: {err.strerror}") from err

    def _version(self, name: str) -> Version:
        folder = self._versions / name
        try:
            manifest = read_manifest(folder, VersionManifest)
        except ManifestError as err:
            raise ManifestError(f"{folder}: {err}; {_another(self.name)}") from err
        return Version.of(manifest, str(folder), manifest.replaced)

    @contextmanager
    def _working(self) -> Iterator[None]:
        if self._is_working:
            yield
            return
        with self.lock():
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            make_folder(self._folder)
            yield
        except OSError as err:
            raise unwritable(self._folder, err) from err

    def _remove_beyond(self, keep: int) -> None:
        with self._writing(), self._pointer.switching():
            current = self._pointer.current_id()
            versions = [(one.id, one.replaced) for one in self.versions()]
            for name in beyond(versions, current, keep):
                self._removed(name)

    def _removed(self, name: str) -> str | None:
        """Remove a version; why it stays, where somebody needs it."""
        folder = self._versions / name
        with free_to_remove(folder) as is_free:
            reason = user_of(folder) if is_free else "somebody reads it"
            if reason is None:
                discard(folder)
        return reason


def _another(name: str) -> str:
    return f"go back to another version: os-train models rollback {name}"
