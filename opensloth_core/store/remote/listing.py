"""What is in a remote store, and removing it."""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from opensloth_core.store.remote.objects import PROBES, Listed, Objects
from opensloth_core.store.remote.place import open_objects
from opensloth_core.store.remote.record import (
    KINDS,
    LAYOUT,
    Record,
    attempt_dir,
    record_path,
    split_attempt_path,
    split_record_path,
)

_PARALLEL_READS = 8


@dataclass(frozen=True)
class RemoteArtifact:
    """A published artifact."""

    kind: str
    """`prepared` or `tokens`."""

    key: str
    size_bytes: int
    """Of all files."""

    created: float
    """When it was published, in Unix seconds of the publisher's clock."""

    publisher: str
    """Machine and process."""


@dataclass(frozen=True)
class Abandoned:
    """What a collection removed, or would remove."""

    num_attempts: int
    """Attempts that were never published, or are no longer."""

    num_files: int
    size_bytes: int
    num_uploads: int
    """Uploads cut off half way, whose size nobody tells."""


def list_artifacts(url: str) -> list[RemoteArtifact]:
    """All published artifacts of a store, newest first.

    Raises:
        RemoteStoreError: the store cannot be reached.
    """
    objects = open_objects(url)
    found = [
        RemoteArtifact(kind, key, record.size_bytes, record.created or 0.0, record.holder)
        for kind in KINDS
        for key, record in published(objects, kind)
    ]
    return sorted(found, key=lambda artifact: -artifact.created)


def published(objects: Objects, kind: str, prefix: str = "") -> Iterator[tuple[str, Record]]:
    """Keys of one kind that begin with `prefix` and are published, each with its record."""
    places = [split_record_path(path) for path in objects.listing(f"{LAYOUT}/{kind}")]
    keys = [place[1] for place in places if place and place[1].startswith(prefix)]

    def read(key: str) -> Record | None:
        stored = objects.read(record_path(kind, key))
        return Record.parse(stored.data) if stored else None

    with ThreadPoolExecutor(_PARALLEL_READS) as threads:
        for key, record in zip(keys, threads.map(read, keys), strict=True):
            if record is not None and record.state == "published":
                yield key, record


def delete(url: str, kind: str, key: str) -> int:
    """Remove a published artifact; gives how many bytes that freed, 0 where there was none.

    The record goes first: whoever reads later finds nothing, and whoever is fetching finds files missing and
    makes the artifact anew.

    Raises:
        RemoteStoreError: the store cannot be reached, or may not be written.
    """
    objects = open_objects(url)
    stored = objects.read(record_path(kind, key))
    record = Record.parse(stored.data) if stored else None
    if stored is None or record is None or record.state != "published":
        return 0
    if not objects.delete_if(record_path(kind, key), stored.version):
        return 0
    place = attempt_dir(kind, key, record.attempt)
    objects.delete([f"{place}/{name}" for name in record.files])
    return record.size_bytes


def collect_abandoned(url: str, older_than: float, dry_run: bool = False) -> Abandoned:
    """Remove the files of attempts that were killed, superseded or condemned.

    An attempt that a record names is left alone: a published one always, a leased one unless its record has
    not changed for `older_than`. Ages are by the store's own clock.

    Args:
        older_than: seconds since the last file of an attempt was written.
        dry_run: only count.

    Raises:
        RemoteStoreError: the store cannot be reached, or may not be written.
    """
    objects = open_objects(url)
    # Records first: an attempt begun in between has files that are young.
    records = {path: file for kind in KINDS for path, file in objects.listing(f"{LAYOUT}/{kind}").items()}
    attempts: dict[tuple[str, str, str], dict[str, Listed]] = defaultdict(dict)
    for path, file in objects.listing(f"{LAYOUT}/objects").items():
        if place := split_attempt_path(path):
            attempts[place][path] = file
    before = objects.now() - older_than
    if not dry_run:
        _free_dead_leases(objects, records, before)
    num_attempts = num_files = size_bytes = 0
    for (kind, key, attempt), files in attempts.items():
        if max(file.modified for file in files.values()) >= before:
            continue
        record_file = records.get(record_path(kind, key))
        is_dead_lease = record_file is not None and record_file.modified < before
        if _is_named(objects, kind, key, attempt, count_leases=not (dry_run and is_dead_lease)):
            continue
        if not dry_run:
            objects.delete(list(files))
        num_attempts += 1
        num_files += len(files)
        size_bytes += sum(file.size_bytes for file in files.values())
    num_uploads = 0 if dry_run else _abort_uploads(objects, before)
    return Abandoned(num_attempts, num_files, size_bytes, num_uploads)


def _abort_uploads(objects: Objects, before: float) -> int:
    def is_live(path: str) -> bool:
        place = split_attempt_path(path)
        return place is not None and _is_named(objects, *place, count_leases=True)

    probes = [path for path, file in objects.listing(PROBES).items() if file.modified < before]
    objects.delete(probes)
    return objects.abort_uploads(LAYOUT, before, is_live)


def _free_dead_leases(objects: Objects, records: dict[str, Listed], before: float) -> None:
    """Remove records that have been silent for so long; their holders, if they ever wake, publish nothing."""
    for path, file in records.items():
        if file.modified >= before or not split_record_path(path):
            continue
        stored = objects.read(path)
        record = Record.parse(stored.data) if stored else None
        if stored is not None and (record is None or record.state != "published"):
            objects.delete_if(path, stored.version)


def _is_named(objects: Objects, kind: str, key: str, attempt: str, count_leases: bool) -> bool:
    """Whether the record of a key names an attempt, read now: it may have been published a moment ago."""
    stored = objects.read(record_path(kind, key))
    record = Record.parse(stored.data) if stored else None
    if record is None or record.attempt != attempt:
        return False
    return record.state == "published" or (record.state == "leased" and count_leases)
