"""What `os-train cache` says of a real store: ls, show, explain, pins."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.cli.flags import long_form
from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from opensloth_core.api import PreparedData
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.registry.model_registry import open_registry
from opensloth_core.registry.pinned_data import owner_of
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.lock import run_lock
from opensloth_core.store.catalog import catalog
from opensloth_core.store.pins import pin

Prepare = Callable[..., PreparedData]


def cache(*words: object) -> int:
    return main(OS_TRAIN, ["cache", *map(str, words)])


def answer(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    """What a command prints as JSON."""
    assert cache(*words, "--json") == code
    return json.loads(capsys.readouterr().out)


def explain(data: Path, model: Path, **settings: object) -> tuple[object, ...]:
    given = {"max_seq_length": 192, "gpus": 1, **settings}
    flags = (word for name, value in given.items() for word in (long_form(name), value))
    return ("explain", "sft", data, "--model", model, *flags)


def test_ls_of_an_empty_store_says_so(home: Path, capsys) -> None:
    assert cache("ls") == 0
    assert capsys.readouterr().out == f"Nothing is kept yet in {home / 'store'}.\n"
    assert answer(capsys, "ls") == {"artifacts": [], "size_bytes": 0}


def test_ls_shows_data_and_tokens_newest_first_in_80_columns(
    prepared: PreparedData, data: Path, tiny_model_dir: Path, prepare: Prepare, capsys
) -> None:
    two = prepare(data, tiny_model_dir, gpus=2)
    cache("pin", prepared.manifest.key)
    capsys.readouterr()
    assert cache("ls") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["key", "kind", "model", "data", "gpus", "rows", "tokens", "size", "made"]
    assert lines[1].split()[:7] == [two.manifest.key[:8], "sft", "data", "tiny-llama", "colours", "2", "40"]
    assert lines[2].split()[:4] == [prepared.manifest.key[:8], "p", "sft", "data"]
    assert lines[3].split()[1:5] == ["sft", "tokens", "tiny-llama", "colours"]
    assert lines[5] == "p pinned"
    assert lines[6].startswith("3 artifacts, ")


def test_ls_marks_what_a_live_run_uses(prepared: PreparedData, capsys) -> None:
    run = RunDirectory.create(OpenSlothConfig(data="d.jsonl", model="m"))
    run.write_launch(Launch("/m", ("cpu",), prepared.manifest.key))
    with run_lock(run):
        listed = answer(capsys, "ls")["artifacts"]
        assert [one["in_use"] for one in listed] == [f"run {run.path.name} works with it", None]
        assert cache("ls") == 0
        assert "u in use" in capsys.readouterr().out


def test_show_has_ledger_settings_parts_and_files(prepared: PreparedData, capsys) -> None:
    assert cache("show", prepared.manifest.key[:6]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= max(80, 10 + len(str(prepared.folder)))
    assert f"Key       {prepared.manifest.key}\n" in out
    assert "40 read = 40 kept" in out
    assert "  max_seq_length  192" in out
    assert "  GPU count" in out
    assert "  shard-00000-of-00001.arrow" in out
    tokens = next(one for one in catalog() if one.kind == "tokens")
    assert f"Made from {tokens.short_key}\n" in out
    assert cache("show", tokens.short_key) == 0
    assert f"Basis of  {prepared.manifest.key[:8]}\n" in capsys.readouterr().out


def test_show_prints_json(prepared: PreparedData, capsys) -> None:
    shown = answer(capsys, "show", prepared.manifest.key)
    assert shown["manifest"]["parts"] == prepared.manifest.parts
    assert (shown["rows"], shown["gpus"], shown["pinned"], shown["damage"]) == (40, 1, False, None)


def test_an_unknown_key_is_one_line(prepared: PreparedData, capsys) -> None:
    key = prepared.manifest.key
    wrong = key[:7] + ("0" if key[7] != "0" else "1")
    for command in ("show", "pin", "unpin", "verify"):
        assert cache(command, wrong) == 2
        out, err = capsys.readouterr()
        assert (out, err) == (
            "",
            f"os-train cache {command}: {wrong}: no artifact has this key; did you mean {key[:8]}?\n",
        )


def test_explain_says_hit(prepared: PreparedData, data: Path, tiny_model_dir: Path, capsys) -> None:
    assert cache(*explain(data, tiny_model_dir, lr="1e-3")) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Hit   {prepared.manifest.key[:8]}: colours for tiny-llama, made ")
    assert "GPU count 1" in out and "max_seq_length 192" in out
    found = answer(capsys, *explain(data, tiny_model_dir))
    assert (found["hit"], found["key"], found["differences"]) == (True, prepared.manifest.key, [])


def test_explain_says_what_differs_and_ends_well_all_the_same(
    prepared: PreparedData, data: Path, tiny_model_dir: Path, capsys
) -> None:
    row = {"question": "And which?", "answer": "Red."}
    data.write_text(data.read_text() + "".join(json.dumps(row) + "\n" for _ in range(3)))
    assert cache(*explain(data, tiny_model_dir, max_seq_length=256)) == 0
    out = capsys.readouterr().out
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0].startswith("Miss  ") and lines[0].endswith("is not in the store. The nearest is")
    assert lines[1].startswith(f"{prepared.manifest.key[:8]}: colours for tiny-llama, made ")
    assert lines[2:4] == ["- input: 3 rows appended (43, was 40)", "- max_seq_length: 256, was 192"]
    assert lines[-1] == "Tokens  all 43 rows are tokenized"
    found = answer(capsys, *explain(data, tiny_model_dir))
    assert found["hit"] is False and found["input"]["text"] == ["3 rows appended (43, was 40)"]


def test_explain_names_another_number_of_gpus(
    prepared: PreparedData, data: Path, tiny_model_dir: Path, two_cores: None, capsys
) -> None:
    assert cache(*explain(data, tiny_model_dir, gpus=2)) == 0
    out = capsys.readouterr().out
    assert "- GPU count: 2, was 1 (tokens are reused)" in out
    assert "Tokens  all there: nothing is tokenized" in out


def test_explain_of_wrong_input_is_the_training_command_s_error(
    home: Path, data: Path, tiny_model_dir: Path, capsys
) -> None:
    assert cache(*explain(Path("nothing.jsonl"), tiny_model_dir)) == 2
    assert capsys.readouterr().err == "os-train cache explain sft: nothing.jsonl: no such file\n"
    assert cache(*explain(data, tiny_model_dir, gpus=999)) == 2
    assert capsys.readouterr().err.startswith("os-train cache explain sft: --gpus 999: ")
    assert not (home / "store").exists() or not catalog()


def test_pin_and_unpin_say_what_they_did(prepared: PreparedData, capsys) -> None:
    key = prepared.manifest.key
    for command, text in (
        ("pin", "pinned: gc leaves it alone"),
        ("pin", "was pinned already"),
        ("unpin", "no longer pinned"),
        ("unpin", "was not pinned"),
    ):
        assert cache(command, key[:8]) == 0
        assert capsys.readouterr().out == f"{key[:8]}  {text}\n"
    assert answer(capsys, "pin", key, key[:8]) == {"changed": [key]}
    pin(key, owner_of(open_registry("bot")))
    assert cache("unpin", key) == 0
    told = f"{key[:8]}  no longer pinned; kept for the model bot, which was judged by it\n"
    assert capsys.readouterr().out == told


def test_a_pin_can_be_taken_away_when_its_data_is_gone(prepared: PreparedData, capsys) -> None:
    cache("pin", prepared.manifest.key)
    (prepared.folder / "units.arrow").unlink()
    cache("verify", "--delete")
    capsys.readouterr()
    assert cache("unpin", prepared.manifest.key) == 0
    assert "no longer pinned" in capsys.readouterr().out
