"""Units as Arrow files: one shard a rank, and one table of all units.

Array names end in their shape: U units.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opensloth_core.data.arrow_numbers import arrow_array
from opensloth_core.data.tokenize import IntArray
from opensloth_core.data.units import Units
from opensloth_core.runs.events import Progress, no_progress

UNITS_FILE = "units.arrow"
EVAL_FILE = "eval.arrow"

_UNITS_SCHEMA = pa.schema(
    {"shard": pa.int32(), "row": pa.int32(), "num_tokens": pa.int32(), "num_trained": pa.int32()}
)
_TOKENS_PER_BATCH = 1 << 19
_MAX_UNITS_PER_BATCH = 256


@dataclass(frozen=True, slots=True)
class WrittenUnits:
    """What was written.

    Attributes:
        shards: file names, by rank.
        num_tokens_U: tokens of each unit.
        num_trained_U: trained tokens of each unit.
    """

    shards: list[str]
    num_tokens_U: IntArray
    num_trained_U: IntArray


def shard_name(shard: int, num_shards: int) -> str:
    """File name of a shard, such as `shard-00000-of-00002.arrow`."""
    return f"shard-{shard:05d}-of-{num_shards:05d}.arrow"


def deal(num_tokens_U: IntArray, num_shards: int) -> IntArray:
    """The shard of each unit: numbers of units differ by one at most, tokens by about one unit.

    In rounds of `num_shards` units, largest first: the shard with the fewest tokens gets the
    largest of the round.
    """
    shard_U = np.empty(len(num_tokens_U), dtype=np.int32)
    tokens_by_shard = np.zeros(num_shards, dtype=np.int64)
    largest_first = np.argsort(-num_tokens_U.astype(np.int64), kind="stable")
    for start in range(0, len(largest_first), num_shards):
        dealt = largest_first[start : start + num_shards]
        shards = np.argsort(tokens_by_shard, kind="stable")[: len(dealt)]
        shard_U[dealt] = shards
        tokens_by_shard[shards] += num_tokens_U[dealt]
    return shard_U


def write_shards(
    folder: Path, units: Units, num_shards: int, progress: Progress = no_progress
) -> WrittenUnits:
    """Write `shard-*.arrow` and `units.arrow`, in Arrow's stream format, into `folder`.

    A shard has one row a unit, in the order of the units, and no rows where there are fewer units
    than shards. `units.arrow` says for every unit, in order, in which shard and row it is, and how
    many tokens and trained tokens it has.
    """
    num_units = len(units.num_tokens_U)
    num_trained_U, row_U = np.zeros(num_units, np.int32), np.zeros(num_units, np.int32)
    shard_U = deal(units.num_tokens_U, num_shards)
    names = [shard_name(shard, num_shards) for shard in range(num_shards)]
    num_written = 0
    for shard, name in enumerate(names):
        own = np.flatnonzero(shard_U == shard)
        row_U[own] = np.arange(len(own))
        num_trained_U[own] = _write(folder / name, units, own, progress, num_written)
        num_written += len(own)
    columns = [arrow_array(column) for column in (shard_U, row_U, units.num_tokens_U, num_trained_U)]
    with pa.ipc.new_stream(str(folder / UNITS_FILE), _UNITS_SCHEMA) as writer:
        writer.write_batch(pa.record_batch(columns, schema=_UNITS_SCHEMA))
    return WrittenUnits(names, units.num_tokens_U, num_trained_U)


def write_eval(folder: Path, units: Units) -> None:
    """Write the units that are held out, all of them, to `eval.arrow`; its columns are a shard's."""
    _write(folder / EVAL_FILE, units, np.arange(len(units.num_tokens_U)), no_progress, 0)


def _write(
    path: Path, units: Units, numbers: npt.NDArray[np.int64], progress: Progress, num_before: int
) -> IntArray:
    """Write some units to a file; gives the trained tokens of each."""
    num_trained = [np.empty(0, np.int32)]
    longest = int(units.num_tokens_U.max(initial=1))
    step = max(1, min(_MAX_UNITS_PER_BATCH, _TOKENS_PER_BATCH // longest))
    with pa.ipc.new_stream(str(path), units.schema) as writer:
        for start in range(0, len(numbers), step):
            batch = numbers[start : start + step]
            rows, num_trained_of_batch = units.batch(batch)
            writer.write_batch(rows)
            num_trained.append(num_trained_of_batch)
            progress("write", num_before + start + len(batch), len(units.num_tokens_U))
    return np.concatenate(num_trained)
