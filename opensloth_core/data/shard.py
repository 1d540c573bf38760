"""Packs as Arrow files: one shard a rank, and one table of all packs.

Array names end in their shape: P packs, S segments (examples) of some packs, T tokens of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from opensloth_core.data.token_file import TokenFile, list_array
from opensloth_core.data.tokenize import IntArray
from opensloth_core.runs.events import Progress, no_progress

IGNORE_INDEX = -100
PACKS_FILE = "packs.arrow"

_SHARD_SCHEMA = pa.schema(
    {
        "input_ids": pa.list_(pa.int32()),
        "labels": pa.list_(pa.int32()),
        "seq_lengths": pa.list_(pa.int32()),
    }
)
_PACKS_SCHEMA = pa.schema(
    {"shard": pa.int32(), "row": pa.int32(), "num_tokens": pa.int32(), "num_trained": pa.int32()}
)
_CELLS_PER_BATCH = 1 << 19
_MAX_PACKS_PER_BATCH = 256


@dataclass(frozen=True, slots=True)
class WrittenPacks:
    """What was written.

    Attributes:
        shards: file names, by rank.
        num_tokens_P: tokens of each pack.
        num_trained_P: labels of each pack that are not ignored.
    """

    shards: list[str]
    num_tokens_P: IntArray
    num_trained_P: IntArray


def shard_name(shard: int, num_shards: int) -> str:
    """File name of a shard, such as `shard-00000-of-00002.arrow`."""
    return f"shard-{shard:05d}-of-{num_shards:05d}.arrow"


def deal(num_tokens_P: IntArray, num_shards: int) -> IntArray:
    """The shard of each pack: numbers of packs differ by one at most, tokens by about one pack.

    In rounds of `num_shards` packs, largest first: the shard with the fewest tokens gets the
    largest of the round.
    """
    shard_P = np.empty(len(num_tokens_P), dtype=np.int32)
    tokens_by_shard = np.zeros(num_shards, dtype=np.int64)
    largest_first = np.argsort(-num_tokens_P.astype(np.int64), kind="stable")
    for start in range(0, len(largest_first), num_shards):
        dealt = largest_first[start : start + num_shards]
        shards = np.argsort(tokens_by_shard, kind="stable")[: len(dealt)]
        shard_P[dealt] = shards
        tokens_by_shard[shards] += num_tokens_P[dealt]
    return shard_P


def write_shards(
    folder: Path,
    packs: Sequence[Sequence[int]],
    tokens: TokenFile,
    pack_length: int,
    num_shards: int,
    progress: Progress = no_progress,
) -> WrittenPacks:
    """Write `shard-*.arrow` and `packs.arrow`, in Arrow's stream format, into `folder`.

    A shard's columns are `input_ids`, `labels` (`IGNORE_INDEX` where not trained) and
    `seq_lengths` (tokens of each example), one row a pack, in the order of the packs. A shard has
    no rows where there are fewer packs than shards. `packs.arrow` says for every pack, in order,
    in which shard and row it is, and how many tokens and trained labels it has.
    """
    lengths = tokens.lengths
    num_tokens_P = np.array([lengths[members].sum() for members in packs], dtype=np.int32)
    num_trained_P = np.zeros(len(packs), dtype=np.int32)
    row_P = np.zeros(len(packs), dtype=np.int32)
    shard_P = deal(num_tokens_P, num_shards)
    names = [shard_name(shard, num_shards) for shard in range(num_shards)]
    packs_per_batch = max(1, min(_MAX_PACKS_PER_BATCH, _CELLS_PER_BATCH // pack_length))
    num_written = 0
    for shard, name in enumerate(names):
        own = np.flatnonzero(shard_P == shard)
        row_P[own] = np.arange(len(own))
        with pa.ipc.new_stream(str(folder / name), _SHARD_SCHEMA) as writer:
            for start in range(0, len(own), packs_per_batch):
                batch = own[start : start + packs_per_batch]
                columns, num_trained_P[batch] = _batch([packs[number] for number in batch], tokens, lengths)
                writer.write_batch(columns)
                num_written += len(batch)
                progress("write", num_written, len(packs))
    table = pa.table([shard_P, row_P, num_tokens_P, num_trained_P], schema=_PACKS_SCHEMA)
    with pa.ipc.new_stream(str(folder / PACKS_FILE), _PACKS_SCHEMA) as writer:
        writer.write_table(table)
    return WrittenPacks(names, num_tokens_P, num_trained_P)


def _batch(
    packs: Sequence[Sequence[int]], tokens: TokenFile, lengths: IntArray
) -> tuple[pa.RecordBatch, IntArray]:
    """Shard rows of some packs, and the trained labels of each, shape [P]."""
    members = [index for pack in packs for index in pack]
    input_ids_T, trained_T = tokens.gather(members)
    labels_T = np.where(trained_T, input_ids_T, np.int32(IGNORE_INDEX))
    lengths_S = lengths[members]
    segments_P = np.array([len(pack) for pack in packs], dtype=np.int32)
    # The label of a segment's first token would be predicted by the segment before it.
    labels_T[np.cumsum(lengths_S) - lengths_S] = IGNORE_INDEX
    first_segment_P = np.cumsum(segments_P) - segments_P
    num_tokens_P = np.add.reduceat(lengths_S, first_segment_P)
    first_token_P = np.cumsum(num_tokens_P) - num_tokens_P
    num_trained_P = np.add.reduceat((labels_T != IGNORE_INDEX).astype(np.int32), first_token_P)
    columns = [
        list_array(input_ids_T, num_tokens_P),
        list_array(labels_T, num_tokens_P),
        list_array(lengths_S, segments_P),
    ]
    return pa.record_batch(columns, schema=_SHARD_SCHEMA), num_trained_P
