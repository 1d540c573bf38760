"""What firings leave for one another on a machine, beside the versions themselves.

<home>/retrain/<name>/
    finished.json     the run that trained a model which nobody has judged yet
    compare/          request, scores and log of the last comparison
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from opensloth_core.errors import StoreError
from opensloth_core.store.home import home_dir


@dataclass(frozen=True)
class Finished:
    """A run that has ended well, whose model is still to be judged."""

    run: str
    """Its name."""

    fingerprint: str
    """Of the source it was trained on; see `SourceFingerprint`."""

    replacing: str | None
    """The version that was current when it began."""


class Workspace:
    """The folder of one model that is retrained here."""

    def __init__(self, name: str) -> None:
        self.path = home_dir() / "retrain" / name

    @property
    def compare_dir(self) -> Path:
        """Where a comparison leaves what it found."""
        return self.path / "compare"

    def note_finished(self, finished: Finished) -> None:
        """Remember a run until it is judged.

        Raises:
            StoreError: the folder cannot be written.
        """
        partial = self._finished_path.with_suffix(".partial")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(asdict(finished), indent=2) + "\n")
            partial.rename(self._finished_path)
        except OSError as err:
            raise StoreError(f"{self.path}: cannot be written: {err.strerror}") from err

    def finished(self) -> Finished | None:
        """The run that an earlier firing was killed after; None where it judged what it trained."""
        try:
            return Finished(**json.loads(self._finished_path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None  # trained again, which costs no more than time

    def forget_finished(self) -> None:
        """Once the run is judged."""
        with contextlib.suppress(OSError):
            self._finished_path.unlink()

    @property
    def _finished_path(self) -> Path:
        return self.path / "finished.json"
