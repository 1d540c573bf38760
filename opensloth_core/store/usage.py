"""Who works with what in the store: runs that go on now, and runs that were.

A run claims its data before it looks for it: `launch.json`, written while the run's lock is held, names it.
Whoever wants to remove an artifact looks at these claims before and after taking it away (`removal.py`).
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.lock import is_running
from opensloth_core.store.artifact import LOCK, MANIFEST
from opensloth_core.store.home import home_dir
from opensloth_core.store.prepared import prepared_dir

_LAUNCH_SECONDS = 1.0
"""How long a `launch.json` that is being written may stay unreadable."""


@dataclass(frozen=True)
class Claim:
    """What a run says that it works with."""

    run: str
    """Name of its directory."""

    is_live: bool
    """Whether a process drives it now."""

    prepared_key: str | None
    """Of its data; None before it has launched."""

    model_dirs: frozenset[str]
    """Folders of its model, tokenizer and adapter."""

    is_clear: bool = True
    """Whether all it works with is known; not of a live run that has not launched yet."""


def claims(live_only: bool = False) -> list[Claim]:
    """What the runs of this home work with, or worked with.

    Args:
        live_only: leave out the runs that nobody drives.
    """
    return list(_claims(live_only))


def record_use(key: str) -> None:
    """Record that a run starts to work with prepared data now; see `Artifact.last_used`.

    Called once the run's claim is written. It waits for whoever is removing something, so that what is still
    there when it returns stays there.

    Raises:
        StoreError: the data was removed after the run had found it.
    """
    folder = prepared_dir(key)
    with _shared(folder.parent / LOCK):
        if not (folder / MANIFEST).is_file():
            raise StoreError(
                f"{folder}: was removed while the run was about to use it; run the command again, "
                "which prepares it"
            )
        # A store that is read-only can still be trained from.
        with contextlib.suppress(OSError):
            os.utime(folder)


@contextlib.contextmanager
def _shared(path: Path) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # nobody has ever written here, so nobody removes either
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _claims(live_only: bool) -> Iterator[Claim]:
    for path in (home_dir() / "runs").glob("[!.]*"):
        run = RunDirectory(path)
        try:
            is_live = is_running(run)
        except OSError:  # somebody else's, or removed at this moment
            is_live = False
        if not is_live and live_only:
            continue
        record = _launch_record(run, is_live)
        if record is None and not is_live:
            continue
        names = ("model_dir", "tokenizer_dir", "adapter_dir", "base_model")
        folders = (
            frozenset(str(record[name]) for name in names if record.get(name)) if record else frozenset()
        )
        key = str(record["prepared_key"]) if record and record.get("prepared_key") else None
        yield Claim(path.name, is_live, key, folders, is_clear=record is not None)


def _launch_record(run: RunDirectory, is_live: bool) -> dict[str, object] | None:
    deadline = time.monotonic() + (_LAUNCH_SECONDS if is_live else 0.0)
    while True:
        try:
            record = json.loads(run.launch_path.read_text())
            return record if isinstance(record, dict) else None
        except OSError:
            return None
        except ValueError:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)
