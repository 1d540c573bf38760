"""Rows of shards: a pack of examples (SFT), a preference pair (DPO) or a prompt (GRPO).

Array names end in their shape: U units, S segments (examples or parts of them), T tokens of some units.
"""

from typing import Protocol

import numpy as np
import pyarrow as pa

from opensloth_core.data.arrow_numbers import list_array
from opensloth_core.data.pack import Packs
from opensloth_core.data.segments import Segments
from opensloth_core.data.token_file import Numbers, TokenTable
from opensloth_core.data.tokenize import IntArray

IGNORE_INDEX = -100


class Units(Protocol):
    """What is dealt to shards as a whole."""

    schema: pa.Schema
    num_tokens_U: IntArray

    def batch(self, numbers: Numbers) -> tuple[pa.RecordBatch, IntArray]:
        """Some units as rows, and the trained tokens of each."""

    def examples(self, numbers: Numbers) -> tuple[Numbers, IntArray]:
        """The examples of some units, one after another, and how many each has."""


class PackUnits:
    """Packs: `input_ids`, `labels` (`IGNORE_INDEX` where not trained), `seq_lengths` of the examples."""

    schema = pa.schema(
        {
            "input_ids": pa.list_(pa.int32()),
            "labels": pa.list_(pa.int32()),
            "seq_lengths": pa.list_(pa.int32()),
        }
    )

    def __init__(self, table: TokenTable, segments: Segments, packs: Packs) -> None:
        self._table, self._segments, self._packs = table, segments, packs
        ends_S = np.cumsum(segments.lengths_S[packs.members_S], dtype=np.int64)
        self.num_tokens_U = np.diff(ends_S[packs.ends_U - 1], prepend=0).astype(np.int32)

    def batch(self, numbers: Numbers) -> tuple[pa.RecordBatch, IntArray]:
        packs = [self._packs[number] for number in numbers.tolist()]
        chosen = np.concatenate(packs)
        segments = self._segments
        lengths_S = segments.lengths_S[chosen]
        input_ids_T, trained_T = self._table.gather(
            segments.example_S[chosen], segments.start_S[chosen], segments.stop_S[chosen]
        )
        labels_T = np.where(trained_T, input_ids_T, np.int32(IGNORE_INDEX))
        # The label of a segment's first token would be predicted by the segment before it.
        labels_T[np.cumsum(lengths_S) - lengths_S] = IGNORE_INDEX
        segments_U = np.array([len(pack) for pack in packs], dtype=np.int32)
        num_tokens_U = self.num_tokens_U[numbers]
        columns = [
            list_array(input_ids_T, num_tokens_U),
            list_array(labels_T, num_tokens_U),
            list_array(lengths_S, segments_U),
        ]
        first_token_U = np.cumsum(num_tokens_U) - num_tokens_U
        num_trained_U = np.add.reduceat((labels_T != IGNORE_INDEX).astype(np.int32), first_token_U)
        return pa.record_batch(columns, schema=self.schema), num_trained_U

    def examples(self, numbers: Numbers) -> tuple[Numbers, IntArray]:
        packs = [self._packs[number] for number in numbers.tolist()]
        num_examples_U = np.array([len(pack) for pack in packs], dtype=np.int32)
        return self._segments.example_S[np.concatenate(packs)], num_examples_U


class PairUnits:
    """Preference pairs: `prompt_ids`, `chosen_ids`, `rejected_ids`, the answers with their end tokens."""

    schema = pa.schema({name: pa.list_(pa.int32()) for name in ("prompt_ids", "chosen_ids", "rejected_ids")})

    def __init__(self, table: TokenTable, examples: Numbers, max_seq_length: int) -> None:
        self._table, self._examples = table, examples
        prompt, chosen = (
            table.column(name, np.int32).astype(np.int32)[examples] for name in ("num_prompt", "num_chosen")
        )
        rejected = table.lengths_E[examples] - prompt - chosen
        room = max_seq_length - prompt
        # Where each part begins in the example, and how much of it fits.
        self._starts = (np.zeros_like(prompt), prompt, prompt + chosen)
        self._lengths = (prompt, np.minimum(chosen, room), np.minimum(rejected, room))
        self.num_tokens_U: IntArray = np.stack(self._lengths).sum(axis=0, dtype=np.int32)

    def batch(self, numbers: Numbers) -> tuple[pa.RecordBatch, IntArray]:
        columns = []
        for start, length in zip(self._starts, self._lengths, strict=True):
            first = start[numbers]
            ids_T, _ = self._table.gather(self._examples[numbers], first, first + length[numbers])
            columns.append(list_array(ids_T, length[numbers]))
        return pa.record_batch(columns, schema=self.schema), (self._lengths[1] + self._lengths[2])[numbers]

    def examples(self, numbers: Numbers) -> tuple[Numbers, IntArray]:
        return self._examples[numbers], np.ones(len(numbers), np.int32)


class PromptUnits:
    """Prompts: `prompt_ids`, and `columns`, JSON text of the prompt's messages and all that rewards read."""

    schema = pa.schema({"prompt_ids": pa.list_(pa.int32()), "columns": pa.string()})

    def __init__(self, table: TokenTable, examples: Numbers) -> None:
        self._table, self._examples = table, examples
        self.num_tokens_U = table.lengths_E[examples]

    def batch(self, numbers: Numbers) -> tuple[pa.RecordBatch, IntArray]:
        examples, lengths = self._examples[numbers], self.num_tokens_U[numbers]
        ids_T, _ = self._table.gather(examples, np.zeros_like(lengths), lengths)
        texts = [self._table.columns(example) for example in examples.tolist()]
        columns = [list_array(ids_T, lengths), pa.array(texts, type=pa.string())]
        return pa.record_batch(columns, schema=self.schema), np.zeros(len(numbers), np.int32)

    def examples(self, numbers: Numbers) -> tuple[Numbers, IntArray]:
        return self._examples[numbers], np.ones(len(numbers), np.int32)
