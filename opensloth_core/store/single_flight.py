"""One process makes what several ask for at the same time; the others wait for it, and say for whom.

    with single_flight("prepared-<key>", asker, "prepares the same data"):
        whoever comes first makes it; who waited looks first whether it is there now

    store/locks/<name>.lock      locked by whoever makes it; says who that is

The lock is the kernel's (flock): a holder that is killed lets go of it at once, and one that is stopped does
not. Lock files are never removed, since two processes could each lock a file of their own then.
"""

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.store.durable import make_folder
from opensloth_core.store.file_lock import lock_file
from opensloth_core.store.home import home_dir

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 0.5
"""Pauses between two looks at a lock that another holds double up to this."""

SAY_AGAIN_SECONDS = 60.0
"""After this long, then twice as long and so on, the person watching is told that the wait goes on."""


@dataclass(frozen=True)
class Asker:
    """Who asks the store for something."""

    name: str = "a Python program"
    """What those who wait for it call it, such as `run sft-…`."""

    say: Callable[[str], None] = logging.getLogger(__name__).warning
    """Told, in lines for a person, whom it waits for."""


A_PROGRAM = Asker()
"""Somebody of whom nothing is known; lines for a person go to the log."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as its file says."""

    name: str
    process: int
    host: str

    def __str__(self) -> str:
        elsewhere = "" if self.is_here else f" on {self.host}"
        return f"{self.name} (process {self.process}{elsewhere})"

    @property
    def is_here(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped (SIGSTOP, Ctrl-Z) and makes no progress."""
        if not self.is_here:
            return False
        try:
            stat = Path(f"/proc/{self.process}/stat").read_text()
        except OSError:
            return False
        return stat.rpartition(") ")[2][:1] in ("T", "t")


@contextmanager
def single_flight(name: str, asker: Asker, work: str) -> Iterator[str | None]:
    """Hold the lock of a piece of work; gives whom this process had to wait for, if anybody.

    Waiting can be interrupted by any signal that raises or ends the process.

    Args:
        name: which work, as a file name.
        work: what its holder does, in words that follow "which".

    Raises:
        StoreError: the store cannot be written, or its file system has no locks.
    """
    path = home_dir() / "store" / "locks" / f"{name}.lock"
    try:
        make_folder(path.parent)
        descriptor, waited_for = _acquired(path, asker, work)
    except OSError as err:
        raise StoreError(
            f"{path}: cannot be locked: {err.strerror or err}; make room, or set OPENSLOTH_HOME to a folder "
            "you can write, on a file system that has locks"
        ) from err
    try:
        _sign(descriptor, asker.name)
        yield waited_for
    finally:
        with contextlib.suppress(OSError):
            os.truncate(descriptor, 0)
        os.close(descriptor)


def _acquired(path: Path, asker: Asker, work: str) -> tuple[int, str | None]:
    descriptor = lock_file(path, wait=False)
    if descriptor is not None:
        return descriptor, None
    began = time.monotonic()
    said, say_again, pause = "", SAY_AGAIN_SECONDS, FIRST_PAUSE_SECONDS
    holder: Holder | None = None
    while True:
        # Before the first look, too: who has just got the lock has yet to write its name.
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        descriptor = lock_file(path, wait=False)
        if descriptor is not None:
            return descriptor, str(holder or "another process")
        holder = _holder(path) or holder
        line = _waiting(holder, work)
        waited = time.monotonic() - began
        if line != said:
            asker.say(line)
            said = line
        elif waited > say_again:
            asker.say(f"{line}: {waited / 60:.0f} min so far")
            say_again *= 2


def _waiting(holder: Holder | None, work: str) -> str:
    if holder is None:
        return f"waiting for another process, which {work}"
    if holder.is_stopped:
        return (
            f"waiting for {holder}, which {work} but is stopped: kill -CONT {holder.process} lets it go on, "
            f"kill -KILL {holder.process} has another take over"
        )
    return f"waiting for {holder}, which {work}"


def _sign(descriptor: int, name: str) -> None:
    """Say in a lock's file who holds it; on a full disk, nobody is named to those who wait."""
    holder = {"name": name, "process": os.getpid(), "host": socket.gethostname()}
    with contextlib.suppress(OSError):
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(path: Path) -> Holder | None:
    try:
        values = json.loads(path.read_bytes())
        return Holder(str(values["name"]), int(values["process"]), str(values["host"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
