"""The objects in the remote store that `OPENSLOTH_MODELS` names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from opensloth_core.readme import more_in_readme
from opensloth_core.registry.names import VARIABLE
from opensloth_core.store.remote.objects import Listed, Objects, Stored
from opensloth_core.store.remote.place import VARIABLE as DATA_VARIABLE
from opensloth_core.store.remote.place import open_objects
from opensloth_core.store.remote.reaching import DATA_STORY, RemoteStoreError

_DATA_WAY_OUT = "to use this machine's store alone"
_MODELS_WAY_OUT = "to keep models on this machine alone"


class ModelObjects:
    """Objects whose errors name the variable that models are found by, not the one of prepared data.

    See `opensloth_core.store.remote.objects.Objects`.

    Raises:
        RemoteStoreError: the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        with _of_models():
            self._objects: Objects = open_objects(url)
        self.url = self._objects.url

    @property
    def is_conditional(self) -> bool:
        with _of_models():
            return self._objects.is_conditional

    def read(self, path: str) -> Stored | None:
        with _of_models():
            return self._objects.read(path)

    def write_if(self, path: str, data: bytes, version: str | None) -> str | None:
        with _of_models():
            return self._objects.write_if(path, data, version)

    def delete_if(self, path: str, version: str) -> bool:
        with _of_models():
            return self._objects.delete_if(path, version)

    def upload(self, source: Path, path: str) -> None:
        with _of_models():
            self._objects.upload(source, path)

    def blocks(self, path: str) -> Iterator[bytes]:
        with _of_models():
            yield from self._objects.blocks(path)

    def size_bytes(self, path: str) -> int | None:
        with _of_models():
            return self._objects.size_bytes(path)

    def listing(self, folder: str) -> Mapping[str, Listed]:
        with _of_models():
            return self._objects.listing(folder)

    def delete(self, paths: Sequence[str]) -> None:
        with _of_models():
            if paths:
                self._objects.delete(paths)

    def abort_uploads(self, folder: str, before: float, is_live: Callable[[str], bool]) -> int:
        with _of_models():
            return self._objects.abort_uploads(folder, before, is_live)

    def now(self) -> float:
        with _of_models():
            return self._objects.now()


@contextmanager
def _of_models() -> Iterator[None]:
    try:
        yield
    except RemoteStoreError as err:
        message = str(err).replace(DATA_VARIABLE, VARIABLE).replace(_DATA_WAY_OUT, _MODELS_WAY_OUT)
        message = message.replace(DATA_STORY, more_in_readme("Promoted models"))
        raise type(err)(message) from err.__cause__
