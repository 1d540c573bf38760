"""Leases: of all machines that want an artifact, one makes it.

A holder rewrites its record every few seconds. Clocks of different machines are never compared: a lease has
expired for an observer once that observer has seen the very same record for `silent_seconds` of its own
monotonic clock. A holder that is only slow, or was paused, finds out when it next writes (see
`opensloth_core.store.remote.record`), whatever it believes until then.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from opensloth_core.data.read.place import shown
from opensloth_core.store.artifact import FileRecord
from opensloth_core.store.remote.objects import Objects, Stored
from opensloth_core.store.remote.reaching import RemoteStoreError, RemoteStoreForbidden
from opensloth_core.store.remote.record import Record, record_path
from opensloth_core.store.single_flight import Asker


@dataclass(frozen=True)
class Timing:
    """How long who waits for whom; every machine that uses a store needs the same."""

    heartbeat_seconds: float = 4.0
    """Between two writes of a holder."""

    silent_seconds: float = 20.0
    """A record that has not changed for so long belongs to a dead process."""

    poll_seconds: float = 1.0
    """Between two looks at somebody else's record."""

    patience_seconds: float = 60.0
    """How long a store may be out of reach while somebody else is waited for."""


TIMING = Timing()


class Lease:
    """The right to publish one artifact, kept alive by a thread of its own while the `with` block runs.

    Leaving the block without having published frees the key at once.
    """

    def __init__(
        self, objects: Objects, path: str, record: Record, version: str, timing: Timing = TIMING
    ) -> None:
        self._objects = objects
        self._path = path
        self._record = record
        self._version = version
        self._seconds = timing.heartbeat_seconds
        self._writing = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lease heartbeat")
        self.is_lost = False
        """Whether somebody else has the lease now."""

    @property
    def attempt(self) -> str:
        """Name of the folder for this lease's files."""
        return self._record.attempt

    @property
    def token(self) -> int:
        """The fencing token."""
        return self._record.token

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._record.state == "leased":
            # Who waits takes over by itself where this fails.
            with contextlib.suppress(RemoteStoreError):
                self._write(state="free")

    def publish(self, files: dict[str, FileRecord]) -> bool:
        """Make the artifact of these files the one that readers see.

        Returns:
            False where another process has taken over since; nothing has changed then.

        Raises:
            RemoteStoreError: the store cannot be reached.
        """
        return self._write(state="published", files=files, created=time.time())

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds) and not self.is_lost:
            # A store out of reach decides nothing: the next beat, or the publication, will tell.
            with contextlib.suppress(RemoteStoreError):
                self._write()

    def _write(self, **changes: object) -> bool:
        with self._writing:
            if self.is_lost or self._record.state != "leased":
                return False
            wanted: Record = self._record.changed(**changes)
            # Twice, since the answer to an earlier write of ours may have been lost.
            for _ in range(2):
                version = self._objects.write_if(self._path, wanted.data(), self._version)
                if version is None:
                    stored = self._objects.read(self._path)
                    now = Record.parse(stored.data) if stored else None
                    if stored is None or now is None or now.attempt != self.attempt:
                        self.is_lost = True
                        return False
                    self._version = stored.version
                    if now.state == "leased" and now != wanted:
                        continue
                    # Written by an earlier try, a publication too; nothing of ours comes after that.
                    wanted, version = now, stored.version
                self._record, self._version = wanted, version
                return True
            raise RemoteStoreError(
                f"{shown(self._objects.url).rstrip('/')}/{self._path}: two writes in a row were refused, "
                "though nobody else wrote; try again"
            )


def acquire(
    objects: Objects,
    kind: str,
    key: str,
    asker: Asker,
    timing: Timing = TIMING,
    wait: bool = True,
) -> Lease | None:
    """The lease of a key; None once somebody has published it.

    Args:
        asker: who asks, and is told whom it waits for.
        wait: whether to wait for a holder that is alive; None where not, as soon as it has shown that it is.

    Raises:
        RemoteStoreForbidden: the store may not be written.
        RemoteStoreError: the store cannot be reached.
    """
    path = record_path(kind, key)
    watch = _Watch(objects.url, timing, asker)
    first: str | None = None
    while True:
        with watch.patient():
            stored = objects.read(path)
            record = Record.parse(stored.data) if stored else None
            if record and record.state == "published":
                return None
            if stored is None or (record and record.state == "free") or watch.is_silent(stored, record):
                lease = _take(objects, path, record, stored, timing, asker)
                if lease is not None:
                    return lease
                continue
            if not wait and first not in (None, stored.version):
                return None
            first = stored.version
        time.sleep(timing.poll_seconds)


def _take(
    objects: Objects,
    path: str,
    previous: Record | None,
    stored: Stored | None,
    timing: Timing,
    asker: Asker,
) -> Lease | None:
    wanted = Record.lease(previous, asker.name)
    version = objects.write_if(path, wanted.data(), stored.version if stored else None)
    if version is None:
        now = objects.read(path)
        if now is None or now.data != wanted.data():
            return None
        version = now.version
    return Lease(objects, path, wanted, version, timing)


class _Watch:
    """Watches somebody else's record by this process's monotonic clock."""

    def __init__(self, url: str, timing: Timing, asker: Asker) -> None:
        self._name = shown(url)
        self._timing = timing
        self._say = asker.say
        self._seen: str | None = None
        self._since = 0.0
        self._announced: str | None = None
        self._failing_since: float | None = None

    def is_silent(self, stored: Stored, record: Record | None) -> bool:
        """Whether the record has stayed the same for too long; said where somebody is waited for."""
        now = time.monotonic()
        # One that cannot be read may be in the middle of being written, where writes are not atomic.
        holder = record.holder if record else "another process"
        if stored.version != self._seen:
            self._seen, self._since = stored.version, now
        if now - self._since >= self._timing.silent_seconds:
            self._say(f"{holder} has been silent for {self._timing.silent_seconds:g} s; taking over")
            self._seen = None
            return True
        if self._announced != holder:
            self._announced = holder
            self._say(f"waiting for {holder}, which prepares the same data for {self._name}")
        return False

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        """Bear a store that is out of reach for a while, once it has been reached.

        A holder that could not reach it either was not silent, so the time begins anew.
        """
        try:
            yield
            self._failing_since = None
        except RemoteStoreForbidden:
            raise
        except RemoteStoreError:
            now = time.monotonic()
            self._failing_since = self._failing_since or now
            if self._announced is None or now - self._failing_since > self._timing.patience_seconds:
                raise
            self._seen = None
