"""What a run writes to disk."""

import os
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.doctor.places import nearest_folder
from opensloth_core.plan.data_facts import DataFacts
from opensloth_core.plan.memory import MemoryModel
from opensloth_core.store.home import home_dir

PREPARED_BYTES = {"sft": 8, "dpo": 4, "grpo": 4}
"""Of one token in the shards: its id, and for SFT its label."""

TOKENS_BYTES = 5
"""Of one token that is kept for later preparations: its id, and whether it is trained."""


@dataclass(frozen=True)
class DiskEstimate:
    """Bytes that a run adds to the disk of `OPENSLOTH_HOME`."""

    prepared: int | None
    """Shards and tokens; 0 where the data is there already, None where its tokens are not known."""

    checkpoints: int | None
    """All that are kept at a time; None where the model's size is not known."""

    result: int | None
    """The adapter, or the whole model; twice where it is copied to --output on the same disk."""

    free: int

    @property
    def total(self) -> int:
        return sum(size for size in (self.prepared, self.checkpoints, self.result) if size is not None)


def disk_estimate(
    config: OpenSlothConfig,
    model: MemoryModel | None,
    facts: DataFacts | None,
    is_cached: bool,
    num_steps: int | None,
) -> DiskEstimate:
    """What a run adds.

    Args:
        num_steps: optimizer steps; where they are not known, checkpoints are assumed to be written.
    """
    prepared = None
    if is_cached:
        prepared = 0
    elif facts is not None:
        prepared = facts.tokens * (PREPARED_BYTES[config.method] + TOKENS_BYTES)
    checkpoints = result = None
    if model is not None:
        result = _result_bytes(config, model)
        checkpoints = _num_checkpoints(config, num_steps) * (result + model.optimizer_state())
        if config.output is not None and _device(config.output) == _device(home_dir()):
            result *= 2
    return DiskEstimate(prepared, checkpoints, result, free_bytes(home_dir()))


def free_bytes(path: Path) -> int:
    """What may still be written where a path is, or will be."""
    status = os.statvfs(nearest_folder(path.absolute()))
    return status.f_bavail * status.f_frsize


def _result_bytes(config: OpenSlothConfig, model: MemoryModel) -> int:
    """The adapter in float32, or the whole model in the format it came in, taken for half precision."""
    size = 4 if config.finetuning_type != "full" or config.dtype == "float32" else 2
    return model.trained_weights * size


def _num_checkpoints(config: OpenSlothConfig, num_steps: int | None) -> int:
    training = config.training
    if not training.save_steps:
        return 0
    written = training.save_total_limit if num_steps is None else num_steps // training.save_steps
    # The newest is whole before the oldest goes.
    return min(written, training.save_total_limit + 1)


def _device(path: Path) -> int:
    return nearest_folder(path.absolute()).stat().st_dev
