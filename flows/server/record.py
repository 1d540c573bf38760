"""What is known of the server that `os-train server start` keeps for a home, without asking it.

    $OPENSLOTH_HOME/server/
        server.lock     locked (flock) by the process that keeps the server, as long as it lives
        server.json     who that is, the address, what runs may read
        keeper.log, server.log, worker.log

The record counts only while the lock is held: the kernel lets go of it however that process ends, so neither
a kill, nor a reboot, nor another process with the same number is taken for a server. Imports no Prefect,
since every command looks here first.
"""

import contextlib
import os
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from opensloth_core.errors import StoreError
from opensloth_core.store.file_lock import is_held, lock_file
from opensloth_core.store.home import home_dir

POOL = "opensloth"
"""The work pool of the deployments in prefect.yaml."""


class ServerRecord(BaseModel):
    """One server and its worker."""

    # Written by the version that started it, read by another one.
    model_config = ConfigDict(frozen=True, extra="ignore")

    state: Literal["starting", "up", "stopping"]
    keeper: int
    """Process that keeps server and worker."""

    keeper_ticks: int
    """When that process began, in clock ticks since the machine did; a later one of its number differs."""

    started: float
    """Unix seconds."""

    port: int
    roots: str = ""
    """What runs may read beside the home, as `OPENSLOTH_ROOTS` lists it."""

    output_roots: str = ""
    """Where runs may write beside the home, as `OPENSLOTH_OUTPUT_ROOTS` lists it."""

    limit: int | None = None
    """Runs that the worker takes at once; None for as many as come."""

    server: int | None = None
    """Process of Prefect's server."""

    worker: int | None = None
    """Process of the worker."""

    @property
    def page(self) -> str:
        """Address of the web page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """Address of the API, as PREFECT_API_URL takes it."""
        return f"{self.page}/api"


def server_dir() -> Path:
    """Where the server of this home keeps its record and its logs."""
    return home_dir() / "server"


def record_path() -> Path:
    """The record."""
    return server_dir() / "server.json"


def server_lock() -> int | None:
    """Become the one process that keeps this home's server; None where another one does.

    Raises:
        StoreError: the home cannot be written.
    """
    try:
        server_dir().mkdir(parents=True, exist_ok=True)
        return lock_file(_lock_path(), wait=False)
    except OSError as err:
        raise StoreError(
            f"{err.filename or _lock_path()}: {err.strerror}; set OPENSLOTH_HOME to a folder you can write"
        ) from err


def is_kept() -> bool:
    """Whether a process keeps a server for this home."""
    with contextlib.suppress(OSError):
        return is_held(_lock_path())
    return False


def read_record() -> ServerRecord | None:
    """The server of this home; None where nobody keeps one, or just begins to."""
    if not is_kept():
        return None
    try:
        return ServerRecord.model_validate_json(record_path().read_bytes())
    except (OSError, ValidationError):
        return None


def write_record(record: ServerRecord) -> None:
    """Replace the record; for who holds the lock."""
    new = record_path().with_suffix(f".{os.getpid()}.new")
    new.write_text(record.model_dump_json(indent=1) + "\n")
    new.replace(record_path())


def remove_record() -> None:
    """Forget a server; for who holds the lock."""
    record_path().unlink(missing_ok=True)


def began_ticks(process: int) -> int | None:
    """When a process began, in clock ticks since the machine did; None where there is none.

    Source: proc_pid_stat(5), field 22.
    """
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def wait_until_ended(seconds: float) -> bool:
    """Wait until nobody keeps a server any more; whether that came."""
    deadline = time.monotonic() + seconds
    while is_kept():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _lock_path() -> Path:
    return server_dir() / "server.lock"
