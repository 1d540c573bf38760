import pytest

from opensloth_core.data.read.names import has_glob, is_data_name, named_format


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "csv"),
        ("a.TSV.gz", "tsv"),
        ("a.txt.zst", "text"),
        ("a.json", None),
        ("csv", None),
        ("a", None),
    ],
)
def test_a_name_gives_a_format_only_where_the_content_cannot(name: str, expected: str | None) -> None:
    assert named_format(name) == expected


@pytest.mark.parametrize(
    ("relative", "expected"),
    [
        ("a.jsonl", True),
        ("x/y/a.parquet", True),
        ("a.ndjson.xz", True),
        ("state_capitals.csv", True),
        (".a.jsonl", False),
        (".cache/a.jsonl", False),
        ("__macosx/a.jsonl", False),
        ("readme.txt", False),
        ("dataset_infos.json", False),
        ("state.json", False),
        ("a.py", False),
        ("a.gz", False),
        ("a", False),
    ],
)
def test_data_is_known_by_its_ending_unless_it_is_hidden_or_about_the_data(
    relative: str, expected: bool
) -> None:
    assert is_data_name(relative) is expected


def test_a_question_mark_in_a_web_address_is_no_wild_card() -> None:
    assert not has_glob("https://host/a.jsonl?download=true")
    assert has_glob("https://host/*.jsonl?download=true")
    assert has_glob("data/a?.jsonl")
