"""Artifacts in a remote store: published whole, and fetched into the local store."""

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict

from opensloth_core.data.read.place import shown
from opensloth_core.errors import StoreError
from opensloth_core.runs.events import Progress, no_progress
from opensloth_core.store.artifact import (
    MANIFEST,
    FileRecord,
    Manifest,
    ManifestError,
    commit,
    read_manifest,
    staging,
)
from opensloth_core.store.digest import file_digest
from opensloth_core.store.remote.attempts import remove_attempt, remove_earlier
from opensloth_core.store.remote.lease import TIMING, Lease, Timing, acquire
from opensloth_core.store.remote.objects import Objects, Stored
from opensloth_core.store.remote.place import open_objects
from opensloth_core.store.remote.reaching import ObjectMissing, RemoteStoreError, RemoteStoreForbidden
from opensloth_core.store.remote.record import Record, attempt_dir, record_path
from opensloth_core.store.single_flight import Asker

_PARALLEL_FILES = 4

M = TypeVar("M", bound=Manifest)


class RemoteStore:
    """The artifacts of a store that machines share.

    Args:
        url: see `opensloth_core.store.remote.place`.
        asker: who asks, and is told what is worth a line.

    Raises:
        RemoteStoreError: the URL cannot be used.
    """

    def __init__(self, url: str, asker: Asker, timing: Timing = TIMING) -> None:
        self.objects: Objects = open_objects(url)
        self.name = shown(self.objects.url).rstrip("/")
        """What the store is called in messages."""
        self._asker = asker
        self.say = asker.say
        self._timing = timing
        self._url = url

    @cached_property
    def _records(self) -> Objects:
        # Connections of their own, or the heartbeats of a lease would wait for its uploads.
        return open_objects(self._url)

    def pull(
        self, kind: str, key: str, target: Path, manifest_type: type[M], progress: Progress = no_progress
    ) -> M | None:
        """Fetch an artifact into the local store; None where there is none that is whole.

        One that is damaged is said to be, and no longer there for anybody.

        Args:
            target: the artifact's folder in the local store.

        Raises:
            RemoteStoreError: the store cannot be reached.
            StoreError: the local store cannot be written.
        """
        began = time.monotonic()
        stored = self.objects.read(record_path(kind, key))
        while True:
            record = Record.parse(stored.data) if stored else None
            if stored is None or record is None or record.state != "published":
                return None
            try:
                manifest = self._fetched(kind, key, record, target, manifest_type, progress)
                break
            except _Damaged as damage:
                # Another machine may have replaced or deleted it meanwhile.
                now = self.objects.read(record_path(kind, key))
                if now == stored:
                    self._condemn(kind, key, stored, record, str(damage))
                    return None
                stored = now
        megabytes, seconds = record.size_bytes / 1e6, time.monotonic() - began
        self.say(f"{kind} {key[:12]} from {self.name} ({megabytes:,.1f} MB in {seconds:.1f} s)")
        return manifest

    def lease(self, kind: str, key: str, wait: bool = True) -> Lease | None:
        """The right to publish an artifact; see `acquire`."""
        lease = acquire(self._records, kind, key, self._asker, self._timing, wait)
        if lease is not None and not self._records.is_conditional:
            self.say(
                f"{self.name} has no conditional writes: two machines that start at the same moment may both "
                "prepare the same data; whichever is last is kept, whole"
            )
        return lease

    def push(self, kind: str, key: str, folder: Path, lease: Lease, progress: Progress = no_progress) -> bool:
        """Publish a whole local artifact, and remove what earlier attempts at it left.

        What was sent is removed again where not all of it could be.

        Returns:
            Whether it was published; another process may have taken over, and what it publishes stands.

        Raises:
            RemoteStoreError: the store cannot be reached, or its disk is full.
        """
        began = time.monotonic()
        path = folder / MANIFEST
        files = {
            **read_manifest(folder, _AnyManifest).files,
            MANIFEST: FileRecord(size_bytes=path.stat().st_size, blake2b=file_digest(path)),
        }
        total = sum(file.size_bytes for file in files.values())
        place = attempt_dir(kind, key, lease.attempt)
        done = _Counter("upload", total, progress)

        def send(name: str) -> None:
            if lease.is_lost:
                return
            self.objects.upload(folder / name, f"{place}/{name}")
            size = self.objects.size_bytes(f"{place}/{name}")
            if size != files[name].size_bytes:
                raise RemoteStoreError(
                    f"{self.name}/{place}/{name}: has {size} bytes after it was sent, should have "
                    f"{files[name].size_bytes:,}; try again"
                )
            done.add(files[name].size_bytes)

        try:
            with ThreadPoolExecutor(_PARALLEL_FILES) as threads:
                list(threads.map(send, files))
        except BaseException:
            remove_attempt(self.objects, kind, key, lease.attempt)
            raise
        # Where this fails, only the answer may have been lost: the files may be what everybody sees now.
        if not lease.publish(files):
            remove_attempt(self.objects, kind, key, lease.attempt)
            self.say(
                f"{kind} {key[:12]}: another machine took over while this one was silent; what that one "
                f"publishes in {self.name} stands"
            )
            return False
        remove_earlier(self.objects, kind, key, lease.token)
        self.say(
            f"{kind} {key[:12]} to {self.name} ({total / 1e6:,.1f} MB in {time.monotonic() - began:.1f} s)"
        )
        return True

    def _fetched(
        self, kind: str, key: str, record: Record, target: Path, manifest_type: type[M], progress: Progress
    ) -> M:
        place = attempt_dir(kind, key, record.attempt)
        done = _Counter("download", record.size_bytes, progress)
        with staging(target) as folder:

            def fetch(name: str) -> None:
                self._fetch_file(f"{place}/{name}", folder / name, record.files[name], done.add)

            with ThreadPoolExecutor(_PARALLEL_FILES) as threads:
                list(threads.map(fetch, record.files))
            manifest = _manifest(folder, record, key, manifest_type)
            return commit(folder, target, manifest)

    def _fetch_file(
        self, path: str, target: Path, wanted: FileRecord, on_bytes: Callable[[int], None]
    ) -> None:
        digest, size = hashlib.blake2b(digest_size=32), 0
        try:
            with target.open("xb") as file:
                for block in self.objects.blocks(path):
                    file.write(block)
                    digest.update(block)
                    size += len(block)
                    on_bytes(len(block))
                    if size > wanted.size_bytes:
                        break
        except ObjectMissing as err:
            raise _Damaged(f"{target.name} is missing") from err
        if size != wanted.size_bytes:
            more = "more than " if size > wanted.size_bytes else ""
            raise _Damaged(f"{target.name} has {more}{size:,} bytes, should have {wanted.size_bytes:,}")
        if digest.hexdigest() != wanted.blake2b:
            raise _Damaged(f"{target.name} has other bytes than were published")

    def _condemn(self, kind: str, key: str, stored: Stored, record: Record, damage: str) -> None:
        """Free the key of a damaged artifact, unless somebody has done so already."""
        place = f"{self.name}/{record_path(kind, key)}"
        self.say(f"{place}: damaged: {damage}; it is made again")
        try:
            freed = record.changed(state="free", files={}, created=None)
            self._records.write_if(record_path(kind, key), freed.data(), stored.version)
        except RemoteStoreForbidden:
            self.say(f"{place}: cannot be mended: no right to write there")


class _Damaged(StoreError):
    """An artifact in the remote store is not what its record says."""


class _AnyManifest(Manifest):
    """What every kind of artifact's manifest has."""

    model_config = ConfigDict(extra="ignore")


class _Counter:
    """Progress over several files at once."""

    def __init__(self, phase: str, total: int, progress: Progress) -> None:
        self._phase = phase
        self._total = total
        self._progress = progress
        self._done = 0
        self._adding = threading.Lock()

    def add(self, num_bytes: int) -> None:
        with self._adding:
            self._done += num_bytes
            self._progress(self._phase, self._done, self._total)


def _manifest(folder: Path, record: Record, key: str, manifest_type: type[M]) -> M:
    try:
        manifest = read_manifest(folder, manifest_type)
    except ManifestError as err:
        raise _Damaged(str(err)) from err
    others = {name: file for name, file in record.files.items() if name != MANIFEST}
    if manifest.files != others or getattr(manifest, "key", key) != key:
        raise _Damaged(f"{MANIFEST} is that of another artifact")
    return manifest
