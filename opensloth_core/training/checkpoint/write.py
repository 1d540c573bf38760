"""Writes a checkpoint from all ranks of a run: whole under its name, or not at all.

What ranks wait for: two agreements among all of them. The first comes once every rank has written its own
part, since a manifest may only vouch for files that are on the disk, and since a rank whose disk is full must
end the others too instead of leaving them in their next all-reduce. The second comes once rank 0 has renamed
the folder into place, milliseconds later. So the others do wait while rank 0 writes the weights and the
optimizer; the next step's all-reduce would make them wait for it all the same. They do not wait while it
removes older checkpoints.
"""

import contextlib
import errno
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensloth_core.errors import TrainingError
from opensloth_core.store.artifact import MANIFEST, FileRecord, file_records
from opensloth_core.store.durable import flush
from opensloth_core.training.checkpoint.agree import first_problem
from opensloth_core.training.checkpoint.files import write_file
from opensloth_core.training.checkpoint.manifest import (
    PARTIAL,
    CheckpointManifest,
    MadeWith,
    Position,
    checkpoint_name,
    keep_newest,
)
from opensloth_core.training.checkpoint.tree import tree_bytes, write_tree

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Written:
    """A checkpoint that was just written."""

    path: Path

    seconds: float

    size_bytes: int


def write_checkpoint(
    checkpoints_dir: Path,
    position: Position,
    parts: Mapping[str, Any],
    made_with: MadeWith,
    rank: int,
    device: str,
    limit: int,
) -> Written:
    """Write this rank's parts of a checkpoint; rank 0 puts it into place and removes older ones.

    Every rank of the run has to call this at the same step.

    Args:
        checkpoints_dir: where checkpoints are; made when it is not there.
        position: where in the plan the run is.
        parts: trees of this rank, by the name of their files; no two ranks share a name.
        made_with: what the steps of the run are made with.
        rank: this rank.
        device: torch device of this rank.
        limit: newest checkpoints to keep, this one included.

    Raises:
        TrainingError: on every rank, when one of them cannot write; older checkpoints are as they were.
    """
    began = time.perf_counter()
    target = checkpoints_dir / checkpoint_name(position.step)
    staging = target.with_name(target.name + PARTIAL)
    records: dict[str, FileRecord] = {}
    problem = None
    try:
        staging.mkdir(parents=True, exist_ok=True)
        for stem, tree in parts.items():
            records |= write_tree(staging, stem, tree)
    except OSError as err:
        problem = _problem(target, rank, parts, err)
    problem = first_problem(problem, device)
    size_bytes = 0
    if rank == 0:
        if problem is None:
            try:
                size_bytes = _publish(staging, target, position, made_with, records)
            except OSError as err:
                problem = _problem(target, rank, parts, err)
        if problem is not None:
            # No rank writes any more, and none has gone, which would end this one.
            shutil.rmtree(staging, ignore_errors=True)
    problem = first_problem(problem, device)
    if problem is not None:
        raise TrainingError(problem)
    if rank == 0:
        # One that stays costs room, no more, and is removed with the next.
        with contextlib.suppress(OSError):
            keep_newest(checkpoints_dir, limit)
    return Written(target, time.perf_counter() - began, size_bytes)


def _publish(
    staging: Path,
    target: Path,
    position: Position,
    made_with: MadeWith,
    records: Mapping[str, FileRecord],
) -> int:
    files = file_records(staging, records)
    missing = [r for r in range(made_with.world_size) if f"rank-{r}.json" not in files]
    if missing:
        raise OSError(errno.EIO, f"files of rank {missing[0]} are not there; do all ranks share this disk?")
    manifest = CheckpointManifest(files=files, created=time.time(), position=position, made_with=made_with)
    write_file(staging / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")
    flush(staging)
    if target.exists():  # of an attempt before this one, which went on from an older one
        shutil.rmtree(target)
    staging.rename(target)
    flush(target.parent)
    return sum(record.size_bytes for record in files.values())


def _problem(target: Path, rank: int, parts: Mapping[str, Any], err: OSError) -> str:
    needed = sum(tree_bytes(tree) for tree in parts.values())
    message = f"{target}: rank {rank} cannot save the checkpoint: {err.strerror or err}"
    if err.errno in NO_ROOM:
        room = shutil.disk_usage(_existing(target)).free
        message += f"; it needs {needed / 1e6:,.1f} MB and {room / 1e6:,.1f} MB are free"
        way_out = "make room (or lower save_total_limit)"
    else:
        way_out = "make the folder writable"
    return f"{message}. Checkpoints before it are untouched: {way_out} and resume the run"


def _existing(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.exists())
