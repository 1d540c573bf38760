import pytest

from opensloth_core.data.read.splits import choose_split, files_of_split, split_of
from opensloth_core.errors import DataError


@pytest.mark.parametrize(
    ("relative", "split"),
    [
        ("train.jsonl", "train"),
        ("my_train.csv.gz", "train"),
        ("TRAIN-2.json", "train"),
        ("training/a.json", "train"),
        ("train-00000-of-00002.parquet", "train"),
        ("test/part-0.json", "test"),
        ("eval.jsonl", "test"),
        ("dev.jsonl", "validation"),
        ("val/en/a.json", "validation"),
        ("data/train_sft-00000-of-00003.parquet", "train_sft"),
        ("test_gen-00000-of-00001.parquet", "test_gen"),
        ("data/extra-00000-of-00001.parquet", "extra"),
        ("train/test-results.json", "test"),
        ("constrained.json", None),
        ("latest.json", None),
        ("train_test.json", None),
        ("part-00000-of-00002.parquet", None),
        ("a/b.json", None),
    ],
)
def test_the_split_of_a_file_is_a_word_of_its_name_or_of_its_nearest_folder(
    relative: str, split: str | None
) -> None:
    assert split_of(relative) == split


def test_train_is_chosen_of_several_splits_and_the_only_one_where_there_is_one() -> None:
    assert choose_split("x", ["test", "train"], None) == "train"
    assert choose_split("x", ["test"], None) == "test"


def test_a_split_is_asked_for_by_its_name_or_by_a_word_that_means_it() -> None:
    assert choose_split("x", ["train", "validation"], "dev") == "validation"
    assert choose_split("x", ["train", "dev"], "dev") == "dev"


def test_a_split_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(DataError, match=r"^x: has no split 'dev'; it has test, train$"):
        choose_split("x", ["test", "train"], "dev")
    with pytest.raises(DataError, match=r"^x: has no train split; pass --split with one of a, b$"):
        choose_split("x", ["a", "b"], None)


def test_all_files_are_taken_where_none_is_named_after_a_split() -> None:
    assert files_of_split("x", ["b.json", "a.json"], None) == ["b.json", "a.json"]
    message = (
        r"^x: has no split 'test': no file or folder in it is named after a split; "
        r"drop --split or name the files$"
    )
    with pytest.raises(DataError, match=message):
        files_of_split("x", ["a.json"], "test")


def test_files_of_no_split_beside_some_of_one_are_not_left_out_in_silence() -> None:
    message = (
        r"^x: some files are of a split \(train\), some of none \(more.json\); "
        r"pass --split or name the files that you want$"
    )
    with pytest.raises(DataError, match=message):
        files_of_split("x", ["more.json", "train.json"], None)
    assert files_of_split("x", ["more.json", "train.json"], "train") == ["train.json"]


def test_a_long_list_of_splits_is_shortened() -> None:
    with pytest.raises(DataError, match=r"it has s0, s1, s2 and 17 more$"):
        choose_split("x", [f"s{number}" for number in range(20)], "t")
