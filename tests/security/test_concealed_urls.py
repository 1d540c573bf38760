"""What a configuration keeps of a URL with secrets in it."""

import json
from pathlib import Path

import pytest

from opensloth_core.config.concealed import VARIABLE, concealed, is_concealed, revealed
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.errors import DataError
from opensloth_core.runs.directory import RunDirectory


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "{}")


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("/data/a:b@c.jsonl", "/data/a:b@c.jsonl"),
        ("https://host/a.jsonl", "https://host/a.jsonl"),
        ("https://host:8080/a.jsonl?id=5", "https://host:8080/a.jsonl?id=5"),
        ("s3://bucket/a?.jsonl", "s3://bucket/a?.jsonl"),
        ("https://me:pa/s@s?w#rd@host/a.jsonl", "https://***@host/a.jsonl"),
        ("https://token@host/a.jsonl", "https://***@host/a.jsonl"),
        ("https://host/a?X-Amz-Signature=1f3a&v=2", "https://host/a?X-Amz-Signature=***&v=2"),
        ("https://host/a?password=x#frag", "https://host/a?password=***#frag"),
        ("zip://a.csv::https://me:pw@host/a.zip", "zip://a.csv::https://***@host/a.zip"),
        ("https://me:p::w@host/a.zip", "https://***@host/a.zip"),
        ("zip://a.csv::https://host/a.zip?sig=x1", "zip://a.csv::https://host/a.zip?sig=***"),
        ("https://host/hf_abcdefghijklmnopqrstuvwx", "https://host/hf_***"),
    ],
)
def test_secrets_are_left_out_and_known_to_this_process(source: str, kept: str) -> None:
    assert concealed(source) == kept
    assert concealed(kept) == kept
    assert revealed(kept) == source


def test_two_files_that_differ_in_a_long_value_stay_two() -> None:
    one, other = (concealed(f"https://host/get?file=part-0000{i}-of-00009.jsonl") for i in (1, 2))
    assert one != other
    assert "part-0000" not in one + other
    assert revealed(one).endswith("00001-of-00009.jsonl")


def test_a_run_s_record_and_name_hold_no_password(home: Path) -> None:
    given = OpenSlothConfig.of(
        {"data": "https://me:hunter22@host/set.jsonl?sig=5up3r5ecret", "model": "embedded"}
    )
    run = RunDirectory.create(given)
    written = (
        run.path.name
        + given.title
        + "".join(path.read_text() for path in run.path.rglob("*") if path.is_file())
    )
    assert "hunter22" not in written
    assert "5up3r5ecret" not in written
    assert run.config().data == ("https://***@host/set.jsonl?sig=***",)


def test_a_record_alone_says_that_the_url_has_to_be_given_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = concealed("https://me:hunter22@host/a.jsonl")
    monkeypatch.delenv(VARIABLE)
    assert is_concealed(kept)
    with pytest.raises(DataError, match="is not kept with a run; give the URL anew"):
        find_inputs([kept], None)


def test_the_whole_url_is_in_the_environment_and_nowhere_in_the_configuration() -> None:
    import os

    given = OpenSlothConfig.of({"data": ["https://me:hunter22@host/a.jsonl"], "model": "embedded"})
    assert "hunter22" not in repr(given) + given.model_dump_json()
    assert json.loads(os.environ[VARIABLE]) == {given.data[0]: "https://me:hunter22@host/a.jsonl"}
