"""Tokens of an input to sharded units: what is left to do once rows have tokens.

    fit to the length -> sample -> hold out -> pack -> shards + eval + ledger

Everything is decided from lengths and counts; tokens are read once, when they are written. What is
done here is a function of the tokens and the settings alone.

Array names end in their shape: R rows of the input (tried ones, where there is a sample), E examples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.data.ledger import Ledger
from opensloth_core.data.origins import file_names, write_origins
from opensloth_core.data.pack import pack
from opensloth_core.data.quarantine import Quarantine, QuarantinedRow
from opensloth_core.data.segments import OVERLONG, TRUNCATED_AWAY, Fitted, Mask, Segments, fit
from opensloth_core.data.select import held_out, sample
from opensloth_core.data.shard import WrittenUnits, write_eval, write_shards
from opensloth_core.data.tokens import TokenSet
from opensloth_core.data.units import PackUnits, PairUnits, PromptUnits, Units
from opensloth_core.errors import DataError
from opensloth_core.runs.events import Progress, no_progress

LEDGER_FILE = "ledger.json"


@dataclass(frozen=True, slots=True)
class SampledRows:
    """What is known of the rows that have tokens, where not all of the input's have.

    Attributes:
        num_rows: rows of the whole input.
        priority_R: see `select.sample`; None to take them in the order of the input.
    """

    num_rows: int
    priority_R: npt.NDArray[np.uint64] | None


class Preparation:
    """One preparation of some tokens.

    Args:
        sampled: given where `config.samples` is.
    """

    def __init__(self, config: DatasetPrepConfig, tokens: TokenSet, sampled: SampledRows | None) -> None:
        self._config, self._tokens, self._sampled = config, tokens, sampled
        self._fitted: Fitted = fit(tokens.table, config)

    @cached_property
    def _usable_R(self) -> Mask:
        usable_R = np.zeros(self._tokens.num_rows, np.bool_)
        usable_R[self._tokens.row_E[self._fitted.segments.example_S]] = True
        return usable_R

    @property
    def has_enough(self) -> bool:
        """Whether the rows that have tokens are enough for the sample."""
        return int(self._usable_R.sum()) >= (self._config.samples or 0)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files with rows, by their number in `origins.arrow`."""
        return tuple(file_names(self._tokens.chunks))

    def write(self, folder: Path, num_shards: int, progress: Progress = no_progress) -> Ledger:
        """Fill `folder` with shards, units.arrow, origins.arrow, eval.arrow, rejected.jsonl, ledger.json.

        Progress has two phases: "pack" in examples and "write" in units.

        Raises:
            DataError: no row is usable, too many are not, too few are left to hold some out, or one is
                too long and `overlong` is "error".
        """
        tried_R = self._tried_R()
        if self._config.overlong == "error":
            self._refuse_overlong(tried_R)
        quarantine = Quarantine(self._config.data_title)
        quarantine.write(folder, self._rejected(tried_R))
        num_tried = int(tried_R.sum())
        used_R = tried_R & self._usable_R
        quarantine.check(num_tried, int(used_R.sum()), self._config.max_rejected)
        held_R = self._held_R(used_R)
        if held_R.any():
            write_eval(folder, self._units(self._segments(held_R)))
        train = self._segments(used_R & ~held_R)
        progress("pack", 0, len(train))
        units = self._units(train)
        progress("pack", len(train), len(train))
        written = write_shards(folder, units, num_shards, progress)
        write_origins(folder, units, self._tokens)
        ledger = self._ledger(tried_R, held_R, quarantine, len(train), written)
        (folder / LEDGER_FILE).write_text(ledger.model_dump_json(indent=2) + "\n")
        return ledger

    def _tried_R(self) -> Mask:
        if self._sampled is None or self._config.samples is None:
            return np.ones(self._tokens.num_rows, np.bool_)
        return sample(self._usable_R, self._sampled.priority_R, self._config.samples)

    def _refuse_overlong(self, tried_R: Mask) -> None:
        rows = self._tokens.row_E[self._fitted.overlong_E]
        rows = np.unique(rows[tried_R[rows]])
        if len(rows):
            file, line = self._tokens.place(int(rows[0]))
            others = f", the first of {len(rows)} rows" if len(rows) > 1 else ""
            raise DataError(
                f"{file}:{line}: {OVERLONG} {self._config.max_seq_length}{others}; raise --max-seq-length, "
                "or have them dropped, truncated or split by --overlong"
            )

    def _held_R(self, used_R: Mask) -> Mask:
        held_R = np.zeros(len(used_R), np.bool_)
        if self._config.eval_size is not None:
            group_R = np.zeros(len(used_R), np.uint64)
            group_R[self._tokens.row_E] = self._tokens.table.column("group", np.uint64)
            held_R[used_R] = held_out(group_R[used_R], self._config.eval_size, self._config.seed)
        return held_R

    def _segments(self, rows_R: Mask) -> Segments:
        segments = self._fitted.segments
        return segments.of(rows_R[self._tokens.row_E[segments.example_S]])

    def _units(self, segments: Segments) -> Units:
        table, config = self._tokens.table, self._config
        if config.method == "dpo":
            return PairUnits(table, segments.example_S, config.max_seq_length)
        if config.method == "grpo":
            return PromptUnits(table, segments.example_S)
        return PackUnits(table, segments, pack(segments.lengths_S, config.max_seq_length))

    def _rejected(self, tried_R: Mask) -> Iterator[QuarantinedRow]:
        """Every tried row that is not usable, in the order of the input."""
        without_tokens = dict(self._tokens.rejected())
        longest_R = np.zeros(len(tried_R), np.int64)
        np.maximum.at(longest_R, self._tokens.row_E, self._tokens.table.lengths_E)
        reason = TRUNCATED_AWAY if self._config.overlong in ("truncate", "split") else OVERLONG
        for row in np.flatnonzero(tried_R & ~self._usable_R).tolist():
            file, line = self._tokens.place(row)
            if row in without_tokens:
                yield QuarantinedRow(file, line, without_tokens[row].reason, without_tokens[row].detail)
            else:
                detail = f"{longest_R[row]} tokens > {self._config.max_seq_length}"
                yield QuarantinedRow(file, line, reason, detail)

    def _ledger(
        self, tried_R: Mask, held_R: Mask, quarantine: Quarantine, num_examples: int, written: WrittenUnits
    ) -> Ledger:
        tokens, config, fitted = self._tokens, self._config, self._fitted
        counted_E = (tried_R & ~held_R)[tokens.row_E]
        never_encoded = sum(row.num_tokens for number, row in tokens.rejected() if tried_R[number])
        num_tokens, num_trained = int(written.num_tokens_U.sum()), int(written.num_trained_U.sum())
        num_units = len(written.num_tokens_U)
        pack_length = config.max_seq_length if config.method == "sft" else None
        cells = num_units * pack_length if pack_length else num_tokens
        num_read = self._sampled.num_rows if self._sampled else tokens.num_rows
        ledger = Ledger(
            rows_read=num_read,
            rows_kept=int((tried_R & self._usable_R & ~held_R).sum()),
            rows_rejected=dict(quarantine.counts),
            rows_not_sampled=num_read - int(tried_R.sum()),
            rows_held_out=int(held_R.sum()),
            samples_asked=config.samples,
            examples=num_examples,
            tokens_in=int(tokens.table.lengths_E[counted_E].sum(dtype=np.int64)) + never_encoded,
            tokens_trained=num_trained,
            tokens_masked=num_tokens - num_trained,
            tokens_truncated=int(fitted.num_truncated_E[counted_E].sum(dtype=np.int64)),
            tokens_dropped=int(fitted.num_dropped_E[counted_E].sum(dtype=np.int64)) + never_encoded,
            packs=num_units,
            pack_length=pack_length,
            max_seq_length=config.max_seq_length,
            cells=cells,
            padding=cells - num_tokens,
        )
        ledger.check()
        return ledger
