import json

from opensloth_core.data.units import IGNORE_INDEX as NO
from opensloth_core.training.evaluation.samples import Sample, samples_of


def test_a_pack_gives_each_example_up_to_its_first_trained_token() -> None:
    row = {
        "input_ids": [1, 2, 3, 4, 5, 6, 7, 8, 9],
        "labels": [NO, NO, 3, 4, NO, 6, NO, NO, 9],
        "seq_lengths": [6, 3],
    }
    # The second answer of the first example is no part of the reference.
    assert list(samples_of(row)) == [Sample([1, 2], [3, 4]), Sample([7, 8], [9])]


def test_the_later_part_of_a_split_example_and_one_without_an_answer_give_none() -> None:
    row = {"input_ids": [1, 2, 3, 4, 5], "labels": [NO, 2, 3, NO, NO], "seq_lengths": [3, 2]}
    assert list(samples_of(row)) == []


def test_where_every_token_is_trained_the_beginning_is_the_prompt() -> None:
    row = {"input_ids": [1, 2, 3, 4, 5], "labels": [NO, 2, 3, 4, 5], "seq_lengths": [5]}
    assert list(samples_of(row, opening=True)) == [Sample([1, 2], [3, 4, 5])]
    long = {"input_ids": list(range(200)), "labels": list(range(200)), "seq_lengths": [200]}
    (sample,) = samples_of(long, opening=True)
    assert (len(sample.prompt_ids), len(sample.reference_ids)) == (64, 136)


def test_the_reference_of_a_pair_is_the_chosen_answer() -> None:
    row = {"prompt_ids": [1], "chosen_ids": [2, 3], "rejected_ids": [4]}
    assert list(samples_of(row)) == [Sample([1], [2, 3])]


def test_the_reference_of_a_prompt_is_the_column_that_rewards_read() -> None:
    columns = {"prompt": [{"role": "user", "content": "6 x 7?"}], "answer": 42}
    assert list(samples_of({"prompt_ids": [1], "columns": json.dumps(columns)})) == [Sample([1], [], "42")]
    assert list(samples_of({"prompt_ids": [1], "columns": "{}"})) == [Sample([1], [], "")]
