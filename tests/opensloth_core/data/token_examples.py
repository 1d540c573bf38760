"""Token arrays written out by hand, as encoding would give them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from opensloth_core.data.encode import EncodedChunk
from opensloth_core.data.pack import Packs
from opensloth_core.data.token_file import TokenTable, TokenWriter, token_batches


def encoded(
    ids: Sequence[Sequence[int]],
    trained: Sequence[Sequence[int]],
    *,
    groups: Sequence[int] | None = None,
    num_prompt: Sequence[int] | None = None,
    num_chosen: Sequence[int] | None = None,
    columns: Sequence[str | None] | None = None,
) -> EncodedChunk:
    """A chunk of examples, one a row."""
    num_examples = len(ids)
    return EncodedChunk(
        input_ids_T=np.array([token for one in ids for token in one], np.int32),
        trained_T=np.array([flag for one in trained for flag in one], np.bool_),
        lengths_E=np.array([len(one) for one in ids], np.int32),
        row_E=np.arange(num_examples, dtype=np.int32),
        group_E=np.array(range(num_examples) if groups is None else groups, np.uint64),
        num_prompt_E=np.array(num_prompt or [0] * num_examples, np.int32),
        num_chosen_E=np.array(num_chosen or [0] * num_examples, np.int32),
        columns_E=list(columns or [None] * num_examples),
        rejected=[],
    )


def table_of(path: Path, *chunks: EncodedChunk) -> TokenTable:
    """A table of chunks, through a file."""
    with TokenWriter(path) as writer:
        for chunk in chunks:
            writer.append(chunk)
    return TokenTable(token_batches(path))


def packs_of(*packs: Sequence[int]) -> Packs:
    """Packs of the examples with these numbers."""
    members_S = np.array([member for pack in packs for member in pack], np.int32)
    return Packs(members_S, np.cumsum([len(pack) for pack in packs]))
