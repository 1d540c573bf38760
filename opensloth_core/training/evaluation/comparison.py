"""What is asked of the process that compares adapters, and what it answers; imports no torch.

request.json    which adapters, on which held-out rows
scores.json     what was measured of each
compare.log     what the process printed
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from opensloth_core.errors import StoreError

Scores = dict[str, dict[str, dict[str, float]]]
"""By adapter, set of rows and metric."""


@dataclass(frozen=True)
class Comparison:
    """Adapters of one model, and the held-out rows that each of them is measured on."""

    run_dir: str
    """The run whose settings, model and method all of them are measured with."""

    device: str
    """Torch device such as `cuda:0`, or `cpu`."""

    adapters: Mapping[str, str | None]
    """Folder of each by its name; None for the model without one."""

    prepared_keys: Mapping[str, str]
    """By the name of a set of rows, the prepared data that holds them out."""

    batch_size: int
    """Units that run at once, unless memory runs out."""

    def write(self, folder: Path) -> None:
        """Raises StoreError where the folder cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            scores_path(folder).unlink(missing_ok=True)
            (folder / "request.json").write_text(json.dumps(asdict(self), indent=2) + "\n")
        except OSError as err:
            raise StoreError(f"{folder}: cannot be written: {err.strerror}") from err

    @classmethod
    def read(cls, folder: Path) -> "Comparison":
        """What was written."""
        return cls(**json.loads((folder / "request.json").read_text()))


def scores_path(folder: Path) -> Path:
    """Where the scores are, once all of them are there."""
    return folder / "scores.json"


def write_scores(folder: Path, scores: Scores) -> None:
    """Write what was measured."""
    partial = folder / "scores.partial"
    partial.write_text(json.dumps(scores, indent=2) + "\n")
    partial.rename(scores_path(folder))


def read_scores(folder: Path) -> Scores:
    """What was measured."""
    scores: Scores = json.loads(scores_path(folder).read_text())
    return scores


def log_path(folder: Path) -> Path:
    """Where all is that the process printed."""
    return folder / "compare.log"
