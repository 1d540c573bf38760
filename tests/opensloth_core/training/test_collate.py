"""Batches never let an example see another one."""

import pytest
import torch

from opensloth_core.training.collate import assert_examples_kept_apart, example_rows

PACKS = [
    {"input_ids": [1, 2, 3, 4, 5], "labels": [-100, 2, -100, -100, 5], "seq_lengths": [2, 3]},
    {"input_ids": [6], "labels": [-100], "seq_lengths": [1]},
]


def test_packs_are_taken_apart_into_one_padded_row_an_example() -> None:
    batch = example_rows(PACKS)
    assert batch["input_ids"].tolist() == [[1, 2, 0], [3, 4, 5], [6, 0, 0]]
    assert batch["labels"].tolist() == [[-100, 2, -100], [-100, -100, 5], [-100, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0]]


def test_rows_with_a_mask_and_flat_packs_with_their_lengths_are_accepted() -> None:
    assert_examples_kept_apart(example_rows(PACKS), flat=False)
    flat = {"input_ids": torch.tensor([[1, 2, 3]]), "packed_seq_lengths": torch.tensor([2, 1])}
    assert_examples_kept_apart(flat, flat=True)


@pytest.mark.parametrize(
    ("batch", "flat"),
    [
        ({"input_ids": torch.zeros(1, 3)}, True),
        ({"input_ids": torch.zeros(1, 3), "packed_seq_lengths": torch.tensor([2])}, True),
        (
            {
                "input_ids": torch.zeros(1, 3),
                "packed_seq_lengths": torch.tensor([3]),
                "attention_mask": torch.ones(1, 3),
            },
            True,
        ),
        ({"input_ids": torch.zeros(1, 3), "position_ids": torch.zeros(1, 3)}, False),
    ],
)
def test_a_batch_without_borders_is_refused(batch: dict[str, torch.Tensor], flat: bool) -> None:
    with pytest.raises(AssertionError):
        assert_examples_kept_apart(batch, flat)
