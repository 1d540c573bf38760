"""Slots: who of all runs on this machine uses which device.

A slot is a file of a physical device, and who holds the file's lock (flock) holds the device. The kernel lets
go of the lock when the process ends, however it ends, so a slot never outlives a run that was killed, and
nobody has to guess whether a holder still lives.

    /tmp/opensloth-<uid>/
        lock                held for the moment in which somebody takes devices: all that it needs, or none
        devices/<device>    locked by the run that uses the device; says which run that is
        queue/<number>      locked by a run that waits; says what for (queue.py)

Why this and not one of Prefect's concurrency limits: those are kept by a server, and a run may have a server
of its own or a server that dies; they count, and do not say which device is free; and what a killed holder
had is freed only when its lease has expired. Limits over several machines are the work pool's and its queues'
business.

Why there: slots belong to the machine and not to `OPENSLOTH_HOME`, which may be another for every run, or on
a disk that machines share; `XDG_RUNTIME_DIR` is set in a login session and not in a service, which would not
see each other. `OPENSLOTH_SLOTS_DIR` names another folder; all runs of a machine have to have the same.
Containers see each other's slots where they share that folder, and not otherwise; nor do different users,
whose GPUs look like those that another program uses (gpus.py).
"""

import json
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.readme import more_in_readme
from opensloth_core.store.file_lock import lock_file

TURN_SECONDS = 0.1
"""How long to try for the moment in which devices are taken, before others of this process get their turn."""


@dataclass(frozen=True)
class Holder:
    """Who uses a device or waits for some."""

    name: str
    """What others call it, such as `run sft-…`."""

    process: int

    def __str__(self) -> str:
        stopped = ", which is stopped" if self._is_stopped else ""
        return f"{self.name} (process {self.process}{stopped})"

    @property
    def _is_stopped(self) -> bool:
        """Whether somebody stopped it (SIGSTOP, Ctrl-Z): it keeps its devices and its place."""
        with suppress(OSError):
            status = Path(f"/proc/{self.process}/stat").read_text()
            return status.rpartition(") ")[2][:1] in ("T", "t")
        return False


class Busy(Exception):
    """Others are taking devices just now; to be tried again."""


class Reservation:
    """Devices that this process holds until it releases them or ends."""

    def __init__(self, devices: tuple[str, ...], descriptors: Iterable[int]) -> None:
        self.devices = devices
        self._locks = ExitStack()
        for descriptor in descriptors:
            self._locks.callback(os.close, descriptor)

    def release(self) -> None:
        """Let others have the devices."""
        self._locks.close()


class Slots:
    """The slots of this machine.

    Args:
        folder: where their files are.

    Raises:
        StoreError: the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue = folder / "queue"
        with usable(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in (self.queue, folder / "devices"):
                part.mkdir(exist_ok=True)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The moment in which nobody else takes devices or enters the queue.

        Raises:
            Busy: it did not come soon.
        """
        deadline = time.monotonic() + TURN_SECONDS
        while (descriptor := lock_file(self.folder / "lock", wait=False)) is None:
            if time.monotonic() > deadline:
                raise Busy
            time.sleep(0.002)
        try:
            yield
        finally:
            os.close(descriptor)

    def held(self, devices: Iterable[str]) -> dict[str, Holder | None]:
        """Those of some devices that are in use, and by whom, where it is known. Only in one's turn."""
        found = {}
        for device in devices:
            descriptor = lock_file(self._path(device), wait=False)
            if descriptor is None:
                found[device] = read_holder(self._path(device))
            else:
                os.close(descriptor)
        return found

    def take(self, devices: tuple[str, ...], holder: Holder) -> Reservation:
        """Hold devices that are free. Only in one's turn."""
        with ExitStack() as so_far:
            descriptors = []
            for device in devices:
                descriptor = lock_file(self._path(device), wait=False)
                assert descriptor is not None, f"{device} was free, and it is nobody else's turn"
                so_far.callback(os.close, descriptor)
                descriptors.append(descriptor)
                write_record(descriptor, asdict(holder))
            so_far.pop_all()
        return Reservation(devices, descriptors)

    def _path(self, device: str) -> Path:
        return self.folder / "devices" / re.sub(r"[^A-Za-z0-9.-]", "_", device)


def slots_dir() -> Path:
    """`$OPENSLOTH_SLOTS_DIR`, or `/tmp/opensloth-<uid>` where it is not set.

    Not `$TMPDIR`, which is another in every job of some batch systems.

    Raises:
        StoreError: somebody else put something there.
    """
    given = os.environ.get("OPENSLOTH_SLOTS_DIR")
    if given:
        return Path(given).absolute()
    folder = Path("/tmp") / f"opensloth-{os.getuid()}"
    with suppress(FileNotFoundError):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise StoreError(
                f"{folder}: is not a folder of yours; remove it, or set OPENSLOTH_SLOTS_DIR to a folder that "
                "all your runs on this machine share"
            )
    return folder


@contextmanager
def usable(folder: Path) -> Iterator[None]:
    """What goes wrong with the files of slots, as an error that says what to do."""
    try:
        yield
    except OSError as err:
        raise StoreError(
            f"{err.filename or folder}: cannot keep there which devices are in use: {err.strerror or err}; "
            "set OPENSLOTH_SLOTS_DIR to a folder that all your runs here share, on a disk that has locks"
            f"{more_in_readme('Several runs at once')}"
        ) from err


def write_record(descriptor: int, values: dict[str, object]) -> None:
    """Replace what a locked file says."""
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(values).encode(), 0)


def read_holder(path: Path) -> Holder | None:
    """Who a file says holds it; None where it says nothing."""
    try:
        record = json.loads(path.read_bytes())
        return Holder(str(record["name"]), int(record["process"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
