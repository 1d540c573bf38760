"""Versions of a model in a remote store, such as a bucket of S3.

<root>/<name>/current.json                the pointer; see `remote_pointer`
<root>/<name>/versions/<id>/…             a version, whose manifest is written last and then never changed
<root>/<name>/judged.json                 how models were judged that are not in use
<root>/v1/retrain/<name>.json             the lease of whoever makes new versions
$OPENSLOTH_HOME/models/.fetched/…         verified copies of versions, on each machine that reads them
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from opensloth_core.data.read.place import shown
from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.registry.current_link import VERSIONS
from opensloth_core.registry.fetched import fetched_dir, is_whole, remove_fetched
from opensloth_core.registry.held import held
from opensloth_core.registry.judgements import JUDGED, latest, newest, read_judgements, rolled_back, written
from opensloth_core.registry.kept import beyond, check_keep, check_replaced, rollback_target
from opensloth_core.registry.model_files import check_whole, digests, model_files
from opensloth_core.registry.names import new_id
from opensloth_core.registry.records import PromotionRecord, Version, VersionManifest
from opensloth_core.registry.remote_files import DamagedVersion, fetch, read_manifest, send
from opensloth_core.registry.remote_place import ModelObjects
from opensloth_core.registry.remote_pointer import Entry, Pointer, RemotePointer
from opensloth_core.store.remote.lease import Lease, Timing, acquire
from opensloth_core.store.remote.objects import Objects
from opensloth_core.store.remote.reaching import ObjectMissing
from opensloth_core.store.remote.record import Record, record_path
from opensloth_core.store.single_flight import Asker

LEASES = "retrain"

_PARALLEL_READS = 8
_MAX_LOOKS = 5


class RemoteRegistry:
    """See `opensloth_core.registry.model_registry.Registry`."""

    def __init__(self, name: str, url: str, say: Callable[[str], None], timing: Timing) -> None:
        self.name = name
        self._url = url
        self._say = say
        self._timing = timing
        self._objects: Objects = ModelObjects(url)
        self.location = f"{shown(self._objects.url).rstrip('/')}/{name}"
        self._pointer = RemotePointer(self._objects, name)
        self._lease: Lease | None = None

    def current(self) -> Version | None:
        for _ in range(_MAX_LOOKS):
            pointer = self._pointer.read()
            if pointer.current is None:
                return None
            version = self._version(next(one for one in pointer.versions if one.id == pointer.current))
            if version is not None:
                return version
        raise StoreError(
            f"{self.location}: its current version {pointer.current} is not there; go back to another one: "
            f"os-train models rollback {self.name}"
        )

    def versions(self) -> list[Version]:
        with ThreadPoolExecutor(_PARALLEL_READS) as threads:
            found = list(threads.map(self._readable, self._pointer.read().versions))
        return [version for version in found if version is not None]

    def promote(
        self, adapter_dir: Path, record: PromotionRecord, keep: int, replacing: str | None = None
    ) -> Version:
        check_keep(keep)
        check_whole(adapter_dir)
        with self._working() as lease:
            self._check_lease(lease)
            pointer = self._pointer.change(lambda now: now.model_copy(update={"promoter": lease.attempt}))
            check_replaced(self.name, replacing, pointer.current)
            self._note(rolled_back(self.versions(), pointer.current))
            self._delete_unnamed(pointer)
            files = digests(adapter_dir, model_files(adapter_dir))
            manifest = VersionManifest(
                files=files, id=new_id(pointer.ids), record=record, created=time.time()
            ).sealed()
            going: list[str] = []

            def promoted(now: Pointer) -> Pointer:
                if manifest.id in now.ids:  # by a write of which no answer came
                    return now
                if now.promoter != lease.attempt:
                    raise self._taken_over()
                check_replaced(self.name, replacing, now.current)
                wanted = now.promoted(manifest.id)
                entries = [(one.id, one.replaced) for one in wanted.versions]
                going[:] = beyond(entries, wanted.current, keep)
                return wanted.without(going)

            try:
                send(self._objects, adapter_dir, manifest, self._place(manifest.id))
                pointer = self._pointer.change(promoted)
            except StoreError:
                with contextlib.suppress(StoreError):
                    if manifest.id not in self._pointer.read().ids:
                        self._delete(manifest.id)
                raise
            # Readers name them no more; what cannot be deleted now, the next promotion deletes.
            with contextlib.suppress(StoreError):
                for version_id in going:
                    self._delete(version_id)
        return Version.of(manifest, f"{self.location}/{VERSIONS}/{manifest.id}", pointer.versions[0].replaced)

    def rollback(self, to: str | None = None) -> Version:
        versions = {version.id: version for version in self.versions()}
        chosen: list[Version] = []

        def back(now: Pointer) -> Pointer:
            kept = [versions[name] for name in now.ids if name in versions]
            chosen[:] = [rollback_target(self.name, kept, now.current, to)]
            self._check_there(chosen[0])
            return now.model_copy(update={"current": chosen[0].id})

        self._pointer.change(back)
        return chosen[0]

    def local_dir(self, version: Version) -> Path:
        folder = fetched_dir(self._url, self.name, version.id)
        if is_whole(folder, version.manifest):
            return folder
        try:
            fetch(self._objects, self._place(version.id), version.manifest, folder)
        except ObjectMissing as err:
            raise StoreError(
                f"{version.location}: was removed meanwhile; ask for the current version again"
            ) from err
        remove_fetched(folder.parent, {*self._pointer.read().ids, version.id})
        return folder

    @contextmanager
    def hold(self, version: Version) -> Iterator[Path]:
        with held(self.local_dir(version)) as folder:
            yield folder

    def judged(self) -> PromotionRecord | None:
        return latest(self._noted()[0], self.versions()[:1])

    def judgements(self) -> list[PromotionRecord]:
        current = self._pointer.read().current
        return newest([*self._noted()[0], *rolled_back(self.versions(), current)])

    def note_judged(self, record: PromotionRecord) -> None:
        self._note([record])

    @contextmanager
    def lock(self) -> Iterator[None]:
        # What it says of waiting is worded for prepared data, and the wait is a few seconds at most.
        asker = Asker("a retrain", lambda text: None)
        lease = acquire(self._lease_objects, LEASES, self.name, asker, self._timing, wait=False)
        if lease is None:
            raise ConfigError(
                f"model {self.name}: {self._holder()} is making a new version of it; wait until that has "
                "ended, or stop it"
            )
        if not self._lease_objects.is_conditional:
            self._say(
                f"{self.location}: the store has no conditional writes, so of two that promote at the same "
                "moment both may succeed; the last one stays, whole"
            )
        with lease:
            self._lease = lease
            try:
                yield
            finally:
                self._lease = None

    def remove(self, version: Version) -> None:
        def without(now: Pointer) -> Pointer:
            if now.current == version.id:
                raise ConfigError(
                    f"model {self.name}: {version.id} is the current version; roll back first, or remove the "
                    "model with all its versions"
                )
            return now.without([version.id])

        self._note(rolled_back([version], self._pointer.read().current))
        self._pointer.change(without)
        self._delete(version.id)

    def remove_all(self) -> None:
        with self.lock():
            self._pointer.delete()
            self._objects.delete(list(self._objects.listing(self.name)))

    @cached_property
    def _lease_objects(self) -> Objects:
        # Connections of their own, or the heartbeats of a lease would wait for its uploads.
        return ModelObjects(self._url)

    def _noted(self) -> tuple[list[PromotionRecord], str | None]:
        """What was noted, and the version of the object that says so."""
        stored = self._objects.read(self._judged_path)
        noted = read_judgements(stored.data if stored else None, f"{self.location}/{JUDGED}")
        return noted, stored.version if stored else None

    def _note(self, more: list[PromotionRecord]) -> None:
        for _ in range(_MAX_LOOKS):
            noted, version = self._noted()
            wanted = newest([*noted, *more])
            if wanted == noted or not more:
                return
            if self._objects.write_if(self._judged_path, written(wanted), version) is not None:
                return
        raise StoreError(f"{self.location}/{JUDGED}: others write it all the time; try again")

    @property
    def _judged_path(self) -> str:
        return f"{self.name}/{JUDGED}"

    def _place(self, version_id: str) -> str:
        return f"{self.name}/{VERSIONS}/{version_id}"

    def _version(self, entry: Entry) -> Version | None:
        manifest = read_manifest(self._objects, self._place(entry.id))
        if manifest is None:
            return None
        return Version.of(manifest, f"{self.location}/{VERSIONS}/{entry.id}", entry.replaced)

    def _readable(self, entry: Entry) -> Version | None:
        try:
            return self._version(entry)
        except DamagedVersion as err:  # nobody can go back to it
            self._say(str(err))
            return None

    def _check_there(self, version: Version) -> None:
        there = self._objects.listing(self._place(version.id))
        for name, file in version.manifest.files.items():
            found = there.get(f"{self._place(version.id)}/{name}")
            if found is None or found.size_bytes != file.size_bytes:
                raise StoreError(
                    f"{version.location}/{name}: is missing or cut off; go back to another version"
                )

    @contextmanager
    def _working(self) -> Iterator[Lease]:
        if self._lease is not None:
            yield self._lease
            return
        with self.lock():
            assert self._lease is not None, "just got it"
            yield self._lease

    def _lease_record(self) -> Record | None:
        stored = self._lease_objects.read(record_path(LEASES, self.name))
        return Record.parse(stored.data) if stored else None

    def _holder(self) -> str:
        record = self._lease_record()
        return record.holder if record else "another process"

    def _check_lease(self, lease: Lease) -> None:
        """Refuse to begin where the lease was lost; whoever loses it later is told by the pointer."""
        record = self._lease_record()
        if lease.is_lost or record is None or record.attempt != lease.attempt:
            raise self._taken_over()

    def _taken_over(self) -> StoreError:
        return StoreError(
            f"model {self.name}: another process took over while this one was silent; what is current is as "
            "that one leaves it"
        )

    def _delete_unnamed(self, pointer: Pointer) -> None:
        """Delete what killed promotions left; nobody else makes a version now."""
        folder = f"{self.name}/{VERSIONS}"
        named = tuple(f"{self._place(version_id)}/" for version_id in pointer.ids)
        self._objects.delete([path for path in self._objects.listing(folder) if not path.startswith(named)])
        self._objects.abort_uploads(folder, math.inf, lambda path: path.startswith(named))

    def _delete(self, version_id: str) -> None:
        self._objects.delete(list(self._objects.listing(self._place(version_id))))
