"""A rank's packs as the dataset its trainer reads, in the plan's order.

Every rank maps every shard into memory (they are on one disk); the order is a column of indices
over them, so nothing is copied and any step can be reached directly.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from datasets import Dataset, concatenate_datasets
from datasets.utils import logging as datasets_logging

from opensloth_core.data.shard import UNITS_FILE
from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.training.plan import FILLER

FILLER_LENGTH = 8
"""Tokens of a pack without data; a few, since some kernels refuse sequences of one token."""


def open_units(prepared_dir: Path) -> Dataset:
    """The table of packs, in global order: shard, row, num_tokens, num_trained."""
    return Dataset.from_file(str(prepared_dir / UNITS_FILE))


def rank_dataset(prepared_dir: Path, shards: Sequence[str], slots: npt.NDArray[np.int64]) -> Dataset:
    """The packs of one rank in the order it trains on them.

    Args:
        prepared_dir: folder of a prepared artifact.
        shards: file names of its shards, in shard order.
        slots: pack indices as `TrainingPlan.slots_of` gives them; `FILLER` becomes a short pack
            whose labels are all ignored.
    """
    datasets_logging.disable_progress_bar()
    packs = open_units(prepared_dir).with_format("numpy")[:]
    tables = [Dataset.from_file(str(prepared_dir / name)) for name in shards]
    first_row = np.cumsum([0, *(len(table) for table in tables)])
    filler = Dataset.from_dict(
        {
            "input_ids": [[0] * FILLER_LENGTH],
            "labels": [[IGNORE_INDEX] * FILLER_LENGTH],
            "seq_lengths": [[FILLER_LENGTH]],
        },
        features=tables[0].features,
    )
    rows = first_row[packs["shard"]] + packs["row"]
    rows = np.append(rows, first_row[-1])[slots]  # FILLER (-1) reads the appended filler row
    assert FILLER == -1
    return concatenate_datasets([*tables, filler]).select(rows)
