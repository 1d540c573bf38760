"""Which rows meet in which micro-batch, from any step on."""

import pytest
import torch
from datasets import Dataset

from opensloth_core.training.feed import MicroBatches, MicroBatchLoader


def test_micro_batches_are_the_rows_in_order() -> None:
    assert list(MicroBatches(6, 2)) == [[0, 1], [2, 3], [4, 5]]


def test_a_resumed_run_begins_where_it_was_and_counts_as_before() -> None:
    batches = MicroBatches(8, 2, first=3)
    assert list(batches) == [[6, 7]]
    assert len(batches) == len(MicroBatches(8, 2)) == 4


@pytest.mark.parametrize("first", [0, 3])
def test_rows_that_a_whole_step_generates_from_are_read_for_each_of_its_micro_batches(first: int) -> None:
    batches = MicroBatches(4, 2, first=first, times=3)
    assert len(batches) == 6
    assert list(batches) == [[0, 1], [0, 1], [0, 1], [2, 3], [2, 3], [2, 3]][first:]


def test_loading_takes_no_random_numbers_of_the_training() -> None:
    dataset = Dataset.from_dict({"number": list(range(6))})
    loader = MicroBatchLoader(
        dataset, MicroBatches(6, 2), lambda rows: [row["number"] for row in rows], "cpu"
    )
    before = torch.get_rng_state()
    assert list(loader) == [[0, 1], [2, 3], [4, 5]]
    assert torch.equal(torch.get_rng_state(), before)
    assert len(loader) == 3
