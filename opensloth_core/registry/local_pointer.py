"""Which version of a model in a folder is the current one, and how that changes.

<model>/current        link to versions/<id>, replaced by one rename
<model>/.lock          locked while it changes
<model>/.switching     a version about to become current; it is none if that did not happen
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.registry.current_link import CURRENT, VERSIONS, version_of
from opensloth_core.registry.names import is_id
from opensloth_core.store.artifact import discard
from opensloth_core.store.durable import flush
from opensloth_core.store.file_lock import lock_file

_LOCK_SECONDS = 30.0
_POLL_SECONDS = 0.02


class LocalPointer:
    """The link of one model."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._link = folder / CURRENT
        self._announcement = folder / ".switching"

    def current_id(self) -> str | None:
        """The current version; None where nothing was ever promoted.

        Raises:
            StoreError: the link leads elsewhere.
        """
        try:
            target = self._link.readlink()
        except FileNotFoundError:
            return None
        except OSError as err:
            if self._link.exists() and not self._link.is_symlink():
                raise self._is_other() from err
            raise StoreError(f"{self._link}: cannot be read: {err.strerror}") from err
        name = version_of(target)
        if name is None:
            raise self._is_other()
        return name

    def unfinished(self) -> str | None:
        """The version that was about to become current and has not."""
        try:
            name = self._announcement.read_text()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StoreError(f"{self._announcement}: cannot be read: {err.strerror}") from err
        return name if is_id(name) and name != self.current_id() else None

    @contextmanager
    def switching(self) -> Iterator[None]:
        """One process at a time; takes away first what a killed one was about to make current.

        Raises:
            OSError: the folder cannot be written.
            StoreError: another process does not let go.
        """
        path, give_up = self._folder / ".lock", time.monotonic() + _LOCK_SECONDS
        while (descriptor := lock_file(path, wait=False)) is None:
            if time.monotonic() > give_up:
                raise StoreError(
                    f"{path}: locked by another process for {_LOCK_SECONDS:.0f} s; end that process if it is "
                    "stopped (`lslocks` names it), and run the command again"
                )
            time.sleep(_POLL_SECONDS)
        try:
            unfinished = self.unfinished()
            if unfinished is not None:
                discard(self._folder / VERSIONS / unfinished)
            for left in [*self._folder.glob(f".{CURRENT}-*"), self._announcement]:
                left.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)

    def announce(self, name: str) -> None:
        """Note that a version is about to be there and become current.

        Raises:
            OSError: the folder cannot be written.
        """
        self._announcement.write_text(name)
        flush(self._announcement)
        flush(self._folder)

    def point_to(self, name: str) -> None:
        """Make a version the current one.

        Raises:
            OSError: the folder cannot be written; the current one is as it was.
        """
        link = self._folder / f".{CURRENT}-{secrets.token_hex(8)}"
        try:
            link.symlink_to(f"{VERSIONS}/{name}")
            link.rename(self._link)
        except OSError:
            with contextlib.suppress(OSError):
                link.unlink(missing_ok=True)
            raise
        flush(self._folder)
        self._announcement.unlink(missing_ok=True)

    def _is_other(self) -> StoreError:
        return StoreError(
            f"{self._link}: is no link to one of the model's versions; move it away, and roll back to one or "
            "promote a run"
        )
