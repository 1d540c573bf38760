"""Digests of the files of an input, with word of how far hashing is where there is much to read."""

from collections.abc import Sequence
from pathlib import Path

from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.place import is_url
from opensloth_core.data.throttle import OnceSlow
from opensloth_core.runs.events import Progress
from opensloth_core.store.digest import file_digest
from opensloth_core.store.digest_memory import remembered_digest


class Hashing:
    """Knows local files by their digests, and reads those that changed.

    Args:
        files: the input, as `find_inputs` gives it.
        progress: told of bytes, under the phase `hash`.
    """

    def __init__(self, files: Sequence[InputFile], progress: Progress) -> None:
        self._progress = OnceSlow(progress)
        self._sizes = {file.url: Path(file.url).stat().st_size for file in files if _is_local(file)}
        self._num_done = 0

    def __call__(self, path: Path) -> str:
        """See `remembered_digest`."""
        digest = remembered_digest(path, self._hash)
        self._num_done += self._sizes.get(str(path), 0)
        return digest

    def _hash(self, path: Path) -> str:
        total = sum(self._sizes.values())
        return file_digest(path, lambda num_read: self._progress("hash", self._num_done + num_read, total))


def _is_local(file: InputFile) -> bool:
    return file.format != "hub" and not is_url(file.url) and Path(file.url).is_file()
