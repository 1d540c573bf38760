"""The held-out units of prepared data, and which of them a rank evaluates.

Array names end in their shape: U units.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
from datasets import Dataset
from datasets.utils import logging as datasets_logging

from opensloth_core.data.shard import EVAL_FILE, deal


def open_held_out(data_dir: Path, limit: int | None = None, seed: int = 0) -> Dataset | None:
    """The held-out units of a prepared artifact; None where nothing is held out.

    Args:
        data_dir: its folder.
        limit: draw so many of them with the seed, where there are more.
        seed: seed of the draw.
    """
    path = data_dir / EVAL_FILE
    if not path.exists():
        return None
    datasets_logging.disable_progress_bar()
    units = Dataset.from_file(str(path))
    if limit is not None and len(units) > limit:
        drawn = np.random.default_rng(seed).permutation(len(units))[:limit]
        units = units.select(np.sort(drawn))
    return units if len(units) else None


def num_tokens(units: Dataset) -> npt.NDArray[np.int64]:
    """Tokens of each unit, shape (U,): of a pack, of a prompt with both answers, or of a prompt."""
    count_U = np.zeros(len(units), np.int64)
    for batch in _tables(units):
        table, start = batch
        for name in table.column_names:
            if name.endswith("_ids"):
                lengths = pc.list_value_length(table.column(name)).to_numpy()
                count_U[start : start + len(lengths)] += lengths
    return count_U


def _tables(units: Dataset, size: int = 1024) -> Iterator[tuple[Any, int]]:
    arrow = units.with_format("arrow")
    for start in range(0, len(units), size):
        yield arrow[start : start + size], start


def rank_batches(
    num_tokens_U: npt.NDArray[np.int64], rank: int, world_size: int, batch_size: int
) -> list[list[int]]:
    """The units that a rank evaluates, in batches, longest first; none where there are more ranks than units.

    Every unit is in exactly one batch of one rank; the ranks' tokens are near-equal.
    """
    dealt_U = deal(num_tokens_U.astype(np.int32), world_size)
    own = np.flatnonzero(dealt_U == rank)
    own = own[np.argsort(-num_tokens_U[own], kind="stable")]
    return [own[start : start + batch_size].tolist() for start in range(0, len(own), batch_size)]
