"""A rank's units as the dataset its trainer reads, and the micro-batches it reads them in.

Every rank maps every shard into memory (they are on one disk); the order is a column of indices
over them, so nothing is copied and any step can be reached directly.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset, concatenate_datasets
from datasets.utils import logging as datasets_logging
from torch.utils.data import DataLoader

from opensloth_core.data.shard import UNITS_FILE
from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.training.plan import FILLER
from opensloth_core.training.prefetch import Prefetched

Collate = Callable[[list[dict[str, Any]]], Any]

AHEAD = 4
"""Micro-batches read before they are asked for."""

FILLER_LENGTH = 8
"""Tokens of a pack without data; a few, since some kernels refuse sequences of one token."""


def open_units(prepared_dir: Path) -> Dataset:
    """The table of units, in global order: shard, row, num_tokens, num_trained."""
    return Dataset.from_file(str(prepared_dir / UNITS_FILE))


def rank_dataset(prepared_dir: Path, shards: Sequence[str], slots: npt.NDArray[np.int64]) -> Dataset:
    """The units of one rank in the order it trains on them.

    Args:
        prepared_dir: folder of a prepared artifact.
        shards: file names of its shards, in shard order.
        slots: unit indices as `TrainingPlan.slots_of` gives them; `FILLER` becomes a short pack
            whose labels are all ignored.
    """
    datasets_logging.disable_progress_bar()
    units = open_units(prepared_dir).with_format("numpy")[:]
    tables = [Dataset.from_file(str(prepared_dir / name)) for name in shards]
    first_row = np.cumsum([0, *(len(table) for table in tables)])
    rows = first_row[units["shard"]] + units["row"]
    if FILLER in slots:
        filler = Dataset.from_dict(
            {
                "input_ids": [[0] * FILLER_LENGTH],
                "labels": [[IGNORE_INDEX] * FILLER_LENGTH],
                "seq_lengths": [[FILLER_LENGTH]],
            },
            features=tables[0].features,
        )
        tables.append(filler)
        rows = np.append(rows, first_row[-1])  # FILLER (-1) reads the appended filler row
    assert FILLER == -1
    return concatenate_datasets(tables).select(rows[slots])


class MicroBatches:
    """Which rows of a rank's dataset make up each of its micro-batches; a batch sampler.

    Args:
        num_rows: rows of the dataset; a multiple of `size`.
        size: rows a micro-batch reads.
        first: the micro-batch to begin with, when a run is resumed.
        times: how often each is read in succession; GRPO generates for a whole step at its first.
    """

    def __init__(self, num_rows: int, size: int, first: int = 0, times: int = 1) -> None:
        self._num_rows, self._size, self._first, self._times = num_rows, size, first, times

    def __len__(self) -> int:
        """All of the run, also those before `first`, since trainers count epochs by it."""
        return self._num_rows // self._size * self._times

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(self._first, len(self)):
            start = number // self._times * self._size
            yield list(range(start, start + self._size))


class MicroBatchLoader(DataLoader[Any]):
    """Loads micro-batches in order and ahead; takes nothing from torch's global random numbers."""

    def __init__(self, dataset: Dataset, batches: MicroBatches, collate: Collate, device: str) -> None:
        super().__init__(
            dataset,
            batch_sampler=batches,
            collate_fn=collate,
            pin_memory=device != "cpu",
            # Its seed would come from the numbers that a resumed run goes on with.
            generator=torch.Generator(),
        )

    def __iter__(self) -> Iterator[Any]:
        return iter(Prefetched(super().__iter__(), AHEAD))
