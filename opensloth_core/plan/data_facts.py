"""Rows and tokens of a run's data: counted where the data is prepared, else estimated from a sample of it.

The sample is the beginning of each of the first files, encoded as preparing would; nothing is written. What
it shows is scaled by bytes to the whole input.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.arrow_numbers import numpy_view
from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.encode import ChunkEncoder, EncodedChunk
from opensloth_core.data.encode_setup import load_setup
from opensloth_core.data.input_chunks import InputChunks
from opensloth_core.data.pack import pack
from opensloth_core.data.quarantine import Quarantine, QuarantinedRow
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.segments import OVERLONG
from opensloth_core.data.select import held_out
from opensloth_core.data.shape.shapes import Shape
from opensloth_core.data.shard import UNITS_FILE
from opensloth_core.store.prepared import PreparedManifest

SAMPLE_BYTES = 2 << 20
"""Rows that are looked at, over all files; a second of work."""

SAMPLE_FILES = 8


@dataclass(frozen=True)
class DataFacts:
    """What is trained on."""

    is_exact: bool
    """Whether it was counted; estimated from a sample otherwise."""

    rows: int
    """Rows that are read."""

    rows_trained: int
    tokens: int
    """Tokens of one epoch, masked ones included."""

    trained_tokens: int
    """Terms of the loss in one epoch; of GRPO, whose completions are yet to come, none."""

    units: int
    """Packs, pairs or prompts."""

    longest: int
    """Tokens of the longest unit's longest sequence: of a pack, of a pair's longer side, of a prompt."""

    sampled_rows: int | None = None
    """How many rows the estimate is from."""

    too_long: float = 0.0
    """Share of the rows of the sample that are longer than max_seq_length."""


@dataclass(frozen=True)
class RowCount:
    """Rows of an input whose tokens are not known."""

    rows: int
    """All of them; estimated where they are more than were sampled."""

    sampled_rows: int


def counted_facts(manifest: PreparedManifest, folder: Path, config: OpenSlothConfig) -> DataFacts:
    """What the manifest of prepared data in a folder says."""
    ledger = manifest.ledger
    with pa.memory_map(str(folder / UNITS_FILE)) as file:
        units = pa.ipc.open_stream(file).read_all().column("num_tokens").combine_chunks()
        longest = int(numpy_view(units, np.int32).max(initial=0))
    return DataFacts(
        is_exact=True,
        rows=ledger.rows_read,
        rows_trained=ledger.rows_kept,
        tokens=ledger.tokens_trained + ledger.tokens_masked,
        trained_tokens=ledger.tokens_trained,
        units=ledger.packs,
        longest=min(longest, config.max_seq_length),
    )


def estimated_facts(files: Sequence[InputFile], config: OpenSlothConfig, model_dir: Path) -> DataFacts:
    """What a sample of the input says.

    Args:
        model_dir: folder of the tokenizer.

    Raises:
        DataError: no row of the sample can be used, or too few of an input that it is the whole of, or
            none of that would be left to train on or to hold out.
        ModelError: the tokenizer cannot be loaded, or has no chat template where one is needed.
    """
    sample = _Sample.of(files, config)
    chunks = sample.chunks
    is_text = bool(chunks) and chunks[0].layout is not None and chunks[0].layout.shape is Shape.TEXT
    encoder = ChunkEncoder(load_setup(model_dir, config.train_on, chats=not is_text))
    encoded = [encoder.encode(chunk) for chunk in chunks]
    num_sampled = sample.num_rows
    lengths_E = np.concatenate([np.empty(0, np.int32), *(_lengths(one, config.method) for one in encoded)])
    tokens_E = np.concatenate([np.empty(0, np.int32), *(one.lengths_E for one in encoded)])
    fits_E = lengths_E <= config.max_seq_length
    cut_E = np.minimum(tokens_E, config.max_seq_length) if config.overlong == "truncate" else tokens_E
    is_used_E = np.ones_like(fits_E) if config.overlong in ("truncate", "split") else fits_E
    _refuse_unusable(config, sample, encoded, lengths_E, is_used_E)
    used_E = cut_E[is_used_E]
    trained = sum(int(one.trained_T.sum()) for one in encoded) / max(1, int(tokens_E.sum()))
    rows = sample.num_input_rows
    scale = _taken(config, rows) / max(1, num_sampled)
    units = _num_units(used_E, config) * scale
    return DataFacts(
        is_exact=False,
        rows=rows,
        rows_trained=round(int(is_used_E.sum()) * scale),
        tokens=round(int(used_E.sum()) * scale),
        trained_tokens=0 if config.method == "grpo" else round(int(used_E.sum()) * scale * trained),
        units=max(1, math.ceil(units)),
        longest=_longest(lengths_E[is_used_E], units, config),
        sampled_rows=num_sampled,
        too_long=float(1 - fits_E.mean()),
    )


def estimated_rows(files: Sequence[InputFile], config: OpenSlothConfig) -> RowCount:
    """What a sample of the input says of its rows alone, which needs no tokenizer."""
    sample = _Sample.of(files, config)
    return RowCount(sample.num_input_rows, sample.num_rows)


@dataclass(frozen=True)
class _Sample:
    """Rows that were looked at."""

    chunks: list[RawChunk]
    share: float
    """Of the input's bytes."""

    is_whole: bool
    """Whether it is the whole input."""

    @property
    def num_rows(self) -> int:
        return sum(len(chunk.rows) for chunk in self.chunks)

    @property
    def num_input_rows(self) -> int:
        return self.num_rows if self.is_whole else round(self.num_rows / self.share)

    @classmethod
    def of(cls, files: Sequence[InputFile], config: OpenSlothConfig) -> "_Sample":
        taken: list[RawChunk] = []
        read = 0.0
        is_whole = len(files) <= SAMPLE_FILES
        budget = SAMPLE_BYTES // max(1, min(len(files), SAMPLE_FILES))
        total = sum(file.size_bytes or 0 for file in files)
        for file in files[:SAMPLE_FILES]:
            reader = InputChunks([file], config)
            rows = iter(reader)
            own = list(_up_to(rows, budget))
            taken += own
            # What is read ahead is no part of the sample; of compressed files only that is known.
            seen = min(reader.bytes_read, sum(_size(chunk) for chunk in own))
            ended = next(rows, None) is None
            read += file.size_bytes if ended else seen
            is_whole = is_whole and ended
        return cls(taken, min(1.0, read / total) if total else 1.0, is_whole)


def _refuse_unusable(
    config: OpenSlothConfig,
    sample: _Sample,
    encoded: Sequence[EncodedChunk],
    lengths_E: npt.NDArray[np.int32],
    is_used_E: npt.NDArray[np.bool_],
) -> None:
    """What preparing would refuse: no usable row; where all rows were seen, too few, or none on a side."""
    quarantine = Quarantine(config.data_title)
    num_rows = num_used = first = 0
    groups: list[int] = []
    for chunk, one in zip(sample.chunks, encoded, strict=True):
        own = slice(first, first + len(one.row_E))
        used = set(one.row_E[is_used_E[own]].tolist())
        lines = chunk.lines
        for rejected in one.rejected:
            place = chunk.file, lines[rejected.row]
            quarantine.add(QuarantinedRow(*place, rejected.reason, rejected.detail))
        for row, length in dict(zip(one.row_E.tolist(), lengths_E[own].tolist(), strict=True)).items():
            if row not in used:
                detail = f"{length} tokens > {config.max_seq_length}"
                quarantine.add(QuarantinedRow(chunk.file, lines[row], OVERLONG, detail))
        group_of = dict(zip(one.row_E.tolist(), one.group_E.tolist(), strict=True))
        groups += [group_of[row] for row in used]
        num_rows, num_used, first = num_rows + len(lines), num_used + len(used), own.stop
    sees_all = sample.is_whole and config.samples is None
    if sees_all or not num_used:
        quarantine.check(num_rows, num_used, config.max_rejected)
    if sees_all and config.eval_size is not None:
        held_out(np.array(groups, np.uint64), config.eval_size, config.seed)


def _up_to(chunks: Iterator[RawChunk], budget: int) -> Iterator[RawChunk]:
    num_bytes = 0
    for chunk in chunks:
        yield chunk
        num_bytes += _size(chunk)
        if num_bytes >= budget:
            return


def _size(chunk: RawChunk) -> int:
    return sum(len(row.source) + 1 for row in chunk.rows if isinstance(row, RawRow))


def _lengths(chunk: EncodedChunk, method: str) -> npt.NDArray[np.int32]:
    """Tokens of the longest sequence of each example."""
    if method != "dpo":
        return chunk.lengths_E
    rejected_E = chunk.lengths_E - chunk.num_prompt_E - chunk.num_chosen_E
    longest: npt.NDArray[np.int32] = chunk.num_prompt_E + np.maximum(chunk.num_chosen_E, rejected_E)
    return longest


def _taken(config: OpenSlothConfig, rows: int) -> float:
    """Rows that are trained on, if all of them can be used."""
    taken = min(rows, config.samples or rows)
    held_out = config.eval_size or 0
    return max(1.0, taken - (held_out if held_out >= 1 else held_out * taken))


def _num_units(used_E: npt.NDArray[np.int32], config: OpenSlothConfig) -> int:
    if config.method != "sft":
        return len(used_E)
    if config.overlong == "split":
        return math.ceil(int(used_E.sum()) / config.max_seq_length)
    return len(pack(used_E, config.max_seq_length))


def _longest(lengths_E: npt.NDArray[np.int32], units: float, config: OpenSlothConfig) -> int:
    if config.method == "sft":
        total = int(lengths_E.sum())
        return (
            min(config.max_seq_length, max(total, int(lengths_E.max())))
            if units <= 1
            else config.max_seq_length
        )
    return min(config.max_seq_length, int(lengths_E.max()))
