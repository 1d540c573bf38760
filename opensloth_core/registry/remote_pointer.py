"""Which version of a model in a remote store is the current one, and how that changes.

    <root>/<name>/current.json      the pointer, one small object

Every write of it is conditional on the version that was read, so of two writers one has to look again.
Whoever makes new versions first writes the attempt of its lease into it (`promoter`); one whose lease was
taken over meanwhile finds another attempt there, and leaves everything as it is.
"""

import time
from collections.abc import Callable

from pydantic import Field, NonNegativeInt, ValidationError

from opensloth_core.config.base import Settings
from opensloth_core.data.read.place import shown
from opensloth_core.errors import StoreError
from opensloth_core.registry.names import ID_PATTERN
from opensloth_core.store.remote.objects import Objects
from opensloth_core.store.remote.reaching import RemoteStoreError

POINTER = "current.json"

_MAX_CHANGES = 100
"""More refusals in a row are no other writers, but a store that refuses."""


class Entry(Settings):
    """A version that is kept."""

    id: str = Field(pattern=ID_PATTERN)
    """Its name."""

    replaced: str | None = None
    """The version that was current when it was promoted."""

    promoted: float
    """When it became current first, in Unix seconds."""


class Pointer(Settings):
    """What a model's pointer says."""

    current: str | None = None
    """The version that readers use."""

    versions: tuple[Entry, ...] = ()
    """Versions that are kept, last promoted first."""

    promoter: str | None = None
    """Attempt of the lease of whoever may add a version."""

    beat: NonNegativeInt = 0
    """Grows with every write, so that no two of them have the same content."""

    @property
    def ids(self) -> list[str]:
        """Names of the versions, last promoted first."""
        return [entry.id for entry in self.versions]

    def promoted(self, version_id: str) -> "Pointer":
        """The pointer once a new version is the current one."""
        entry = Entry(id=version_id, replaced=self.current, promoted=time.time())
        return self.model_copy(update={"current": version_id, "versions": (entry, *self.versions)})

    def without(self, ids: list[str]) -> "Pointer":
        """The pointer once some versions are gone."""
        return self.model_copy(update={"versions": tuple(one for one in self.versions if one.id not in ids)})


class RemotePointer:
    """The pointer of one model."""

    def __init__(self, objects: Objects, name: str) -> None:
        self._objects = objects
        self._path = f"{name}/{POINTER}"

    def read(self) -> Pointer:
        """What it says; where there is none, that nothing was ever promoted.

        Raises:
            StoreError: the store cannot be reached, or the object is damaged.
        """
        return self._read()[0]

    def change(self, changed: Callable[[Pointer], Pointer]) -> Pointer:
        """Write what `changed` makes of it, which is asked again where somebody else was faster.

        Returns:
            What was written.

        Raises:
            StoreError: see `read`; whatever `changed` raises leaves it as it is.
        """
        for _ in range(_MAX_CHANGES):
            before, version = self._read()
            wanted = changed(before).model_copy(update={"beat": before.beat + 1})
            data = (wanted.model_dump_json(indent=2) + "\n").encode()
            if self._objects.write_if(self._path, data, version) is not None:
                return wanted
            # The answer to a write that was done may have been lost.
            stored = self._objects.read(self._path)
            if stored is not None and stored.data == data:
                return wanted
        raise RemoteStoreError(f"{self._place}: {_MAX_CHANGES} writes in a row were refused; try again")

    def delete(self) -> None:
        """Have there be no model from now on.

        Raises:
            StoreError: see `read`.
        """
        version = self._read()[1]
        if version is not None and not self._objects.delete_if(self._path, version):
            raise RemoteStoreError(f"{self._place}: has changed meanwhile; try again")

    @property
    def _place(self) -> str:
        return f"{shown(self._objects.url).rstrip('/')}/{self._path}"

    def _read(self) -> tuple[Pointer, str | None]:
        stored = self._objects.read(self._path)
        if stored is None:
            return Pointer(), None
        try:
            return Pointer.model_validate_json(stored.data), stored.version
        except ValidationError as err:
            raise StoreError(
                f"{self._place}: is damaged, or of another version; put back an earlier one of it"
            ) from err
