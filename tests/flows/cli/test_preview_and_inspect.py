"""`os-data preview` and `os-data inspect` on data that is prepared already; neither needs Prefect then."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.main import main
from flows.cli.os_data import OS_DATA
from opensloth_core.api import PreparedData, run_prepare_data


@pytest.fixture
def data(home: Path, chat_data: Path, tiny_model_dir: Path) -> list[str]:
    return [str(chat_data), "--model", str(tiny_model_dir), "--gpus", "1", "--max-seq-length", "192"]


@pytest.fixture
def prepared(data: list[str]) -> PreparedData:
    return run_prepare_data({"data": data[0], "model": data[2], "gpus": 1, "max_seq_length": 192})


def test_preview_shows_examples_with_marks_where_it_is_no_terminal(data, prepared, capsys) -> None:
    assert main(OS_DATA, ["preview", *data, "--rows", "2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("sft · tiny-llama · colours.jsonl\n")
    assert "40 read = 40 kept" in out
    assert "⟦I│t│ │h│a│s│ │" in out and "<|im_end|>⟧" in out
    assert "\x1b" not in out
    assert "example 2 of" in out and "example 3 of" not in out


def test_preview_writes_a_page_and_says_where(data, prepared, tmp_path: Path, capsys) -> None:
    page = tmp_path / "page.html"
    assert main(OS_DATA, ["preview", *data, "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("name", "problem"), [("", "is a folder"), ("no/such/page.html", "there is no folder")]
)
def test_a_page_that_cannot_be_is_refused_before_anything_is_prepared(
    name: str, problem: str, data, home: Path, tmp_path: Path, capsys
) -> None:
    assert main(OS_DATA, ["preview", *data, "--html", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("os-data preview: --html") and problem in err and err.count("\n") == 1
    assert not (home / "store" / "prepared").exists()


def test_preview_of_data_that_is_not_there_is_one_line(home: Path, tiny_model_dir: Path, capsys) -> None:
    assert main(OS_DATA, ["preview", "nothing.jsonl", "--model", str(tiny_model_dir)]) == 2
    assert capsys.readouterr().err == "os-data preview: nothing.jsonl: no such file\n"


def test_a_reader_that_has_seen_enough_is_no_error(data, prepared, home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.entry", "os-data", "preview", *data, "--rows", "40"],
        env={**os.environ, "OPENSLOTH_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 0


def test_inspect_prints_ledger_shards_settings_and_key(prepared: PreparedData, capsys) -> None:
    assert main(OS_DATA, ["inspect", prepared.manifest.key[:8]]) == 0
    out = capsys.readouterr().out
    assert f"Key      {prepared.manifest.key}" in out
    assert "40 read = 40 kept" in out
    assert "  shard-00000-of-00001.arrow" in out
    settings, parts = out.split("Parts of the key")
    assert "max_seq_length  192" in settings
    assert all(value in parts for value in prepared.manifest.parts.values())


def test_inspect_prints_json(prepared: PreparedData, capsys) -> None:
    assert main(OS_DATA, ["inspect", str(prepared.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parts"] == prepared.manifest.parts


def test_inspect_of_an_unknown_key_is_one_line_with_the_known_ones(prepared: PreparedData, capsys) -> None:
    assert main(OS_DATA, ["inspect", "unknown"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert prepared.manifest.key[:12] in err


def test_inspect_of_damaged_data_says_so_and_fails(prepared: PreparedData, capsys) -> None:
    (prepared.folder / "units.arrow").unlink()
    assert main(OS_DATA, ["inspect", prepared.manifest.key]) == 1
    assert "units.arrow is missing; the next run makes it again" in capsys.readouterr().err
