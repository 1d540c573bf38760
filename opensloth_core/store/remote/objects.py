"""What a remote store is made of: named objects, some of which are written under a condition."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

BLOCK_BYTES = 8 << 20
"""Read or sent at once."""

PROBES = "v1/probes"
"""Where objects are written that only show what the store does."""


@dataclass(frozen=True)
class Stored:
    """An object's content, and the version it had when it was read."""

    data: bytes
    version: str


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it."""

    size_bytes: int
    modified: float
    """Unix seconds by the clock of the store; see `Objects.now`."""


class Objects(Protocol):
    """Objects under the URL of a store; every path is relative to it.

    Every method raises RemoteStoreError where the store cannot be used.
    """

    url: str

    @property
    def is_conditional(self) -> bool:
        """Whether of several machines that write under the same condition only one succeeds."""

    def read(self, path: str) -> Stored | None:
        """A small object; None where there is none."""

    def write_if(self, path: str, data: bytes, version: str | None) -> str | None:
        """Write a small object if it still has `version`, or if there is none where that is None.

        Returns:
            Its new version; None where the condition does not hold. Also None where the write was done
            but its answer was lost, so whoever gets None reads the object to know.
        """

    def delete_if(self, path: str, version: str) -> bool:
        """Delete an object if it still has `version`; whether it was deleted."""

    def upload(self, source: Path, path: str) -> None:
        """Send a file; nobody sees it before all of it is there, or its size tells."""

    def blocks(self, path: str) -> Iterator[bytes]:
        """The content of an object, block by block.

        Raises:
            ObjectMissing: there is no such object.
        """

    def size_bytes(self, path: str) -> int | None:
        """Size of an object; None where there is none."""

    def listing(self, folder: str) -> Mapping[str, Listed]:
        """All objects whose path begins with `folder/`, by their path."""

    def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; none of them need be there."""

    def abort_uploads(self, folder: str, before: float, is_live: Callable[[str], bool]) -> int:
        """Remove what uploads into a folder left unfinished; gives how many.

        Args:
            before: a time of `now`; those that began later are left alone.
            is_live: whether the upload of a path is still going on.
        """

    def now(self) -> float:
        """The time by the clock that `Listed.modified` is from; writes and deletes an object."""
