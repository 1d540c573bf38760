"""What a checkpoint says of itself, and which of a run's checkpoints are whole. Imports no torch.

    checkpoints/
        step-000120/
            weights.json    weights-00001.safetensors …     what is trained, and nothing else
            optimizer.json  optimizer-00001.safetensors …
            trainer.json                                    scheduler, scaler, counters, last logs
            rank-0.json     rank-0-00001.safetensors        random numbers and the method's own state
            rank-1.json     rank-1-00001.safetensors
            manifest.json                                   position, what it was made with, sizes and digests
        step-000140.partial/                                being written, or torn by a kill

A folder `step-N` was renamed into place with its manifest in it, after every file had reached the disk.
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from opensloth_core.config.base import Settings
from opensloth_core.errors import DataError
from opensloth_core.store.artifact import MANIFEST, Manifest, damage
from opensloth_core.store.digest import file_digest

PARTIAL = ".partial"


class Position(Settings):
    """Where in its plan a run is."""

    step: NonNegativeInt
    """Optimizer steps done."""

    epoch: NonNegativeFloat
    """Passes over the data done, as far as whole steps of them go."""

    trained_tokens: NonNegativeInt
    """Tokens with a label in the steps done, over all ranks."""


class MadeWith(Settings):
    """All that shapes the steps of a run: with the same, a run goes on as if it had never stopped."""

    prepared_key: str
    """Key of the prepared data."""

    prepared_parts: dict[str, str]
    """What that key is made of, by name."""

    model: str
    """`model_identity` of the model."""

    device: Literal["cpu", "cuda"]
    """Kind of device."""

    world_size: PositiveInt

    batch_size: PositiveInt
    """Units in a micro-batch on a rank."""

    gradient_accumulation_steps: PositiveInt

    settings: dict[str, Any]
    """Every other setting that shapes the steps, by name."""

    versions: dict[str, str]
    """Of the libraries that compute; others may round differently, so they are named but not refused."""

    @property
    def global_batch_size(self) -> int:
        return self.batch_size * self.gradient_accumulation_steps * self.world_size


class CheckpointManifest(Manifest):
    """What a checkpoint is; written last, so that its presence means that the rest is there."""

    format: Literal[1] = 1

    created: float
    """Unix seconds."""

    position: Position

    made_with: MadeWith


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint."""

    path: Path

    manifest: CheckpointManifest

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return self.manifest.position.step


def checkpoint_name(step: int) -> str:
    """`step-000120`."""
    return f"step-{step:06d}"


def newest_whole(
    checkpoints_dir: Path, say: Callable[[str], None] = lambda text: None, in_full: bool = True
) -> Checkpoint | None:
    """The newest checkpoint whose files all have the sizes and digests of its manifest.

    Args:
        say: told one line for each newer one that is damaged.
        in_full: see `open_checkpoint`.
    """
    for _, path in reversed(_by_step(checkpoints_dir)):
        checkpoint, problem = open_checkpoint(path, in_full)
        if checkpoint is not None:
            return checkpoint
        say(f"checkpoint {path.name} is damaged and not used: {problem}")
    return None


def open_checkpoint(path: Path, in_full: bool = True) -> tuple[Checkpoint | None, str | None]:
    """The checkpoint in a folder, or None and what is wrong with it.

    Args:
        in_full: read all of it and compare digests, not only sizes.
    """
    try:
        manifest = CheckpointManifest.model_validate_json((path / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None, f"{MANIFEST} is missing"
    except (OSError, ValueError) as err:
        return None, f"{MANIFEST} cannot be read: {str(err).splitlines()[0]}"
    problem = damage(path, manifest.files) or (_altered(path, manifest) if in_full else None)
    return (None, problem) if problem else (Checkpoint(path, manifest), None)


def _altered(path: Path, manifest: CheckpointManifest) -> str | None:
    for name, record in manifest.files.items():
        try:
            if file_digest(path / name) != record.blake2b:
                return f"{name} is not what was written"
        except DataError as err:
            return str(err)
    return None


def sweep(checkpoints_dir: Path, last_step: int) -> None:
    """Remove what killed attempts left half written, and checkpoints after `last_step`.

    A run that goes on from `last_step` makes those after it anew. A damaged one among them would otherwise
    pass for the newest when older ones are removed.
    """
    for path in checkpoints_dir.glob(f"*{PARTIAL}"):
        shutil.rmtree(path, ignore_errors=True)
    for step, path in _by_step(checkpoints_dir):
        if step > last_step:
            shutil.rmtree(path, ignore_errors=True)


def keep_newest(checkpoints_dir: Path, limit: int) -> None:
    """Remove all checkpoints but the newest `limit`.

    Raises:
        OSError: one cannot be removed.
    """
    for _, path in _by_step(checkpoints_dir)[:-limit]:
        # Renamed first, so that a kill half way leaves nothing that looks like a checkpoint.
        discarded = path.with_name(path.name + ".old" + PARTIAL)
        path.rename(discarded)
        shutil.rmtree(discarded)


def _by_step(checkpoints_dir: Path) -> list[tuple[int, Path]]:
    if not checkpoints_dir.is_dir():
        return []
    named = [(re.fullmatch(r"step-(\d+)", path.name), path) for path in checkpoints_dir.iterdir()]
    return sorted((int(match[1]), path) for match, path in named if match)
