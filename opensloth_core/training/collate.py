"""Turns packs into a batch whose attention never sees across the examples of a pack.

Two ways, and which one is the engine's to say:

* *Flat*: TRL's padding-free collator joins the packs into one row and Unsloth adds
  `packed_seq_lengths`, which its variable-length attention reads. Nothing is padded.
* *Rows*: where Unsloth switches padding-free off (on CPUs, where plain attention over a flat row would
  see across examples, and for a few model families), a pack is taken apart again, one row an
  example, padded on the right.

Shapes: R rows, L tokens of the longest, T tokens of all packs together.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from opensloth_core.data.units import IGNORE_INDEX


def example_rows(packs: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """The examples of some packs as rows: `input_ids`, `labels`, `attention_mask`, each (R, L)."""
    input_ids, labels = _split(packs, "input_ids"), _split(packs, "labels")
    present = [torch.ones_like(row) for row in input_ids]
    return {
        "input_ids": pad_sequence(input_ids, batch_first=True),
        "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORE_INDEX),
        "attention_mask": pad_sequence(present, batch_first=True),
    }


def _split(packs: Sequence[Mapping[str, Any]], column: str) -> list[torch.Tensor]:
    borders = [np.cumsum(pack["seq_lengths"])[:-1] for pack in packs]
    parts = zip(packs, borders, strict=True)
    rows = [row for pack, border in parts for row in np.split(np.asarray(pack[column]), border)]
    return [torch.as_tensor(row, dtype=torch.int64) for row in rows]


def assert_examples_kept_apart(batch: Mapping[str, torch.Tensor], flat: bool) -> None:
    """Refuse a batch that would be trained on wrongly; Unsloth has switched modes in silence before.

    Raises:
        AssertionError: a flat batch without the borders of its examples, or with a mask that
            hides them, or rows without a mask.
    """
    mask, lengths = batch.get("attention_mask"), batch.get("packed_seq_lengths")
    if not flat:
        assert mask is not None and lengths is None, "a batch of rows needs an attention mask"
        return
    assert mask is None, "an attention mask hides the borders of the examples"
    assert lengths is not None, "no packed_seq_lengths: examples would see each other"
    assert int(lengths.sum()) == batch["input_ids"].numel(), "packed_seq_lengths do not cover the batch"
