"""Data of a run that a server started: nothing is read that the worker's owner did not open."""

import json
import os
from pathlib import Path

import pytest

from opensloth_core.checks.roots import ROOTS_VARIABLE, is_confined
from opensloth_core.data.read.inputs import InputReader, find_inputs
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.errors import ConfigError, DataError
from tests.security.conftest import ROW

OUTSIDE = "leads outside of what runs of this server may read"


def read(*sources: str | Path) -> list[bytes]:
    files = find_inputs([str(source) for source in sources], None)
    return [row.source for file in files for row in InputReader(file) if isinstance(row, RawRow)]


def refusal(*sources: str | Path) -> str:
    with pytest.raises(DataError) as caught:
        read(*sources)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_data_folder_of_the_home_is_open_and_nothing_else(confined: Path, secret: Path) -> None:
    (confined / "data" / "a.jsonl").write_text(ROW)
    assert read(confined / "data" / "a.jsonl") == read(confined / "data") == [ROW.strip().encode()]
    message = refusal(secret)
    assert OUTSIDE in message
    assert f"opens more with {ROOTS_VARIABLE}=/folder" in message


def test_opened_folders_are_read(confined: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOTS_VARIABLE, f"/nowhere:{secret.parent}")
    assert read(secret) == [ROW.strip().encode()]
    assert read(secret.parent / ".." / "private" / "salaries.jsonl") == [ROW.strip().encode()]
    assert read(secret.parent / "*.jsonl") == [ROW.strip().encode()]


def test_a_folder_whose_name_begins_like_an_opened_one_is_closed(
    confined: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOTS_VARIABLE, str(secret.parent)[:-1])
    assert OUTSIDE in refusal(secret)


@pytest.mark.parametrize(
    "source",
    [
        "{secret}",
        "{home}/data/../../private/salaries.jsonl",
        "{private}",
        "{private}/*.jsonl",
        "{tmp}/priv*/*.jsonl",
        "file://{secret}",
        "local://{secret}",
        "file:{secret}",
        "FILE://{secret}",
        "simplecache::file://{secret}",
        "simplecache::{secret}",
        "filecache::local://{secret}",
        "blockcache::file://{secret}",
        "zip://x.jsonl::file://{secret}",
        "tar://x.jsonl::file://{secret}",
        "dir://salaries.jsonl::file://{private}",
        "reference://::file://{secret}",
        "https://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:4200/api/block_documents",
        "s3://bucket/a.jsonl",
        "memory://a.jsonl",
        "ftp://host/a.jsonl",
        "sftp://host/a.jsonl",
        "github://org:name@main/a.jsonl",
        "git://{private}",
        "data:text/plain;base64,e30=",
        "hf://datasets/org/name/a.jsonl::file://{secret}",
        "/proc/self/environ",
        "/proc/self/cwd/README.md",
        "/dev/stdin",
        "/etc/passwd",
        "~/.ssh/id_rsa",
        "",
        ".",
        "..",
        "/",
        "\0",
    ],
)
def test_ways_around(confined: Path, secret: Path, source: str) -> None:
    place = source.format(secret=secret, home=confined, private=secret.parent, tmp=confined.parent)
    assert "salaries" not in refusal(place).replace(place, "").replace(str(secret), "")


def test_nothing_is_said_of_what_is_outside(confined: Path, secret: Path) -> None:
    there, not_there = refusal(secret), refusal(secret.with_name("other.jsonl"))
    assert there.replace("salaries", "other") == not_there


@pytest.mark.parametrize("source", ["link.jsonl", "", "*.jsonl", "**/*.jsonl"])
def test_links_that_lead_out_are_refused_however_they_are_found(
    confined: Path, secret: Path, source: str
) -> None:
    (confined / "data" / "good.jsonl").write_text(ROW)
    (confined / "data" / "link.jsonl").symlink_to(secret)
    assert OUTSIDE in refusal(confined / "data" / source)


@pytest.mark.parametrize("source", ["", "*/*.jsonl", "**/*.jsonl", "folder", "folder/salaries.jsonl"])
def test_a_linked_folder_that_leads_out_is_refused(confined: Path, secret: Path, source: str) -> None:
    (confined / "data" / "folder").symlink_to(secret.parent)
    assert OUTSIDE in refusal(confined / "data" / source)


def test_a_link_that_stays_inside_is_read(confined: Path) -> None:
    (confined / "data" / "a.jsonl").write_text(ROW)
    (confined / "data" / "b.jsonl").symlink_to(confined / "data" / "a.jsonl")
    assert len(read(confined / "data" / "b.jsonl")) == 1


def test_a_glob_cannot_climb_out_behind_its_first_wild_card(confined: Path, secret: Path) -> None:
    (confined / "data" / "x").mkdir()
    assert "without .." in refusal(f"{confined}/data/*/../*.jsonl")
    assert OUTSIDE in refusal(f"{confined}/data/*/../../../private/*.jsonl")


def test_a_file_that_becomes_a_link_after_it_was_checked_is_refused_once_open(
    confined: Path, secret: Path
) -> None:
    path = confined / "data" / "a.jsonl"
    path.write_text(ROW)
    (file,) = find_inputs([str(path)], None)
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(DataError, match=OUTSIDE):
        list(InputReader(file))


def test_a_swap_between_the_check_and_the_opening_is_found(
    confined: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = confined / "data" / "a.jsonl"
    path.write_text(ROW)
    (file,) = find_inputs([str(path)], None)

    def swap(location: str) -> None:
        path.unlink()
        path.symlink_to(secret)

    # What another process would do at just this moment.
    monkeypatch.setattr("opensloth_core.data.read.local_storage.check_data_path", swap)
    with pytest.raises(DataError, match=OUTSIDE):
        list(InputReader(file))


@pytest.mark.parametrize("name", ["../../../private/salaries.jsonl", "/etc/passwd", "..", "a/b.arrow"])
def test_a_saved_data_set_cannot_name_files_elsewhere(home: Path, secret: Path, name: str) -> None:
    folder = home / "data" / "saved"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}], "_split": "train"}))
    assert "is not a file beside it" in refusal(folder)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    assert "is not a file beside it" in refusal(folder)


@pytest.mark.parametrize(
    ("url", "is_open"),
    [
        ("s3://bucket/data/a.jsonl", True),
        ("s3://bucket/data", True),
        ("s3://bucket/data/*.jsonl", True),
        ("s3://bucket/database/a.jsonl", False),
        ("s3://bucket/data/../private/a.jsonl", False),
        ("s3://bucket/data/%2e%2e/private/a.jsonl", False),
        ("s3://bucket/data/%252e%252e/private/a.jsonl", False),
        ("s3://bucket/data\\..\\private/a.jsonl", False),
        ("s3://bucket", False),
        ("s3://other/data/a.jsonl", False),
        ("https://host:8080/sets/a.jsonl?sig=1", True),
        ("https://host:8080/sets?name=a", True),
        ("https://host:8080@evil.example/sets/a.jsonl", False),
        ("https://host:80801/sets/a.jsonl", False),
        ("https://host:8080/set", False),
        ("https://user@host:8080/sets/a.jsonl", False),
        ("http://host:8080/sets/a.jsonl", False),
        ("simplecache::s3://bucket/data/a.jsonl", False),
        ("zip://a.jsonl::s3://bucket/data/a.zip", False),
        ("hf://datasets/org/name/a.jsonl", True),
    ],
)
def test_urls_that_begin_like_an_opened_one(
    confined: Path, monkeypatch: pytest.MonkeyPatch, url: str, is_open: bool
) -> None:
    from opensloth_core.checks.roots import check_data_url

    monkeypatch.setenv(ROOTS_VARIABLE, "/data:s3://bucket/data:https://host:8080/sets")
    if is_open:
        check_data_url(url, url)
    else:
        with pytest.raises(DataError, match=OUTSIDE):
            check_data_url(url, url)


def test_an_entry_that_is_neither_folder_nor_url_is_told(
    confined: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOTS_VARIABLE, "data")
    with pytest.raises(ConfigError, match="OPENSLOTH_ROOTS data: list absolute folders or URLs"):
        read("/etc/passwd")


def test_more_than_the_limit_is_refused_packed_and_unpacked(
    confined: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    path = confined / "data" / "a.jsonl.gz"
    path.write_bytes(gzip.compress(ROW.encode() * 10_000))
    monkeypatch.setenv("OPENSLOTH_MAX_INPUT_BYTES", "100000")
    assert "unpacks to more than the 100,000 bytes" in refusal(path)
    monkeypatch.setenv("OPENSLOTH_MAX_INPUT_BYTES", "100")
    assert f"holds {path.stat().st_size:,} bytes, more than the 100 " in refusal(path)


def test_a_worker_s_process_is_confined_from_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_confined()
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "0")
    assert is_confined()


def test_a_user_of_the_command_line_reads_what_he_may(home: Path, secret: Path) -> None:
    assert read(secret) == read(os.path.relpath(secret)) == [ROW.strip().encode()]
