"""What one rank has to do: everything its trainer is built from beside the model."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.prepared import PreparedManifest, prepared_dir
from opensloth_core.training.feed import open_units, rank_dataset
from opensloth_core.training.plan import TrainingPlan, training_plan


@dataclass(frozen=True)
class RankJob:
    """The work of one rank."""

    run: RunDirectory
    config: OpenSlothConfig
    rank: int
    world_size: int
    device: str
    """Torch device of this rank, such as `cuda:1` or `cpu`."""

    manifest: PreparedManifest
    """The data of the run."""

    batch: BatchPlan
    """Batch numbers, in what the method counts them."""

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    @property
    def data_dir(self) -> Path:
        """Folder of the prepared data."""
        return prepared_dir(self.manifest.key)

    @cached_property
    def units(self) -> dict[str, Any]:
        """Columns of the table of units: shard, row, num_tokens, num_trained."""
        columns: dict[str, Any] = open_units(self.data_dir).with_format("numpy")[:]
        return columns

    @cached_property
    def unit_batch(self) -> BatchPlan:
        """Batch numbers in units of the data.

        For GRPO these are prompts, of which each has `num_generations` completions, all of a step generated
        together.
        """
        if self.config.method != "grpo":
            return self.batch
        completions = self.batch.batch_size * self.batch.gradient_accumulation_steps
        return BatchPlan(completions // self.config.grpo.num_generations, 1, self.world_size)

    @cached_property
    def plan(self) -> TrainingPlan:
        """The plan of the whole run."""
        training = self.config.training
        return training_plan(
            self.units["num_tokens"],
            self.units["num_trained"],
            self.unit_batch,
            training.epochs,
            training.max_steps,
            self.config.seed,
            repeat=self.config.method != "sft",
        )

    def dataset(self) -> Any:
        """This rank's units in the order it trains on them."""
        return rank_dataset(self.data_dir, self.manifest.shards, self.plan.slots_of(self.rank))

    def rows(self, units: npt.NDArray[np.int64]) -> list[dict[str, Any]]:
        """Some units, by their indices in the global order."""
        found: list[dict[str, Any]] = rank_dataset(self.data_dir, self.manifest.shards, units).to_list()
        return found

    @cached_property
    def tokens_SW(self) -> npt.NDArray[np.int64]:
        """Tokens of the data that each rank runs in each step."""
        tokens = np.append(self.units["num_tokens"], 0)  # FILLER (-1) reads the appended zero
        count: npt.NDArray[np.int64] = tokens[self.plan.units_SWAB].sum(axis=(2, 3))
        return count
