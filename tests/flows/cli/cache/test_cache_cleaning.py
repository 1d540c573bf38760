"""What `os-train cache` removes of a real store, and what it leaves: verify, gc."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from opensloth_core.api import PreparedData
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.lock import run_lock
from opensloth_core.store.catalog import catalog

HOUR = 3600

Prepare = Callable[..., PreparedData]


def cache(*words: object) -> int:
    return main(OS_TRAIN, ["cache", *map(str, words)])


def answer(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    """What a command prints as JSON."""
    assert cache(*words, "--json") == code
    return json.loads(capsys.readouterr().out)


def make_old(hours: float) -> None:
    """As if everything in the store had been made and used so long ago."""
    for one in catalog():
        manifest = json.loads((one.folder / "manifest.json").read_text())
        created = manifest["created"] - hours * HOUR
        del manifest["seal"]
        (one.folder / "manifest.json").write_text(json.dumps({**manifest, "created": created}))
        os.utime(one.folder, (created, created))


def explain(data: Path, model: Path, *words: object) -> tuple[object, ...]:
    return ("explain", "sft", data, "--model", model, "--max-seq-length", 192, "--gpus", 1, *words)


def test_verify_finds_a_flipped_bit_and_removes_it_when_told(prepared: PreparedData, capsys) -> None:
    assert cache("verify") == 0
    assert capsys.readouterr().out.endswith("read: all whole\n")
    path = prepared.folder / "units.arrow"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert cache("verify") == 1
    out = capsys.readouterr().out
    assert f"damaged  {prepared.manifest.key[:8]}" in out and "units.arrow has changed" in out
    assert prepared.folder.is_dir()
    (tokens,) = [one for one in catalog() if one.kind == "tokens"]
    assert cache("verify", tokens.short_key) == 0
    capsys.readouterr()
    report = answer(capsys, "verify", "--delete", code=1)
    assert [(one["key"], one["removed"]) for one in report["damaged"]] == [(prepared.manifest.key, True)]
    assert not prepared.folder.exists()
    assert cache("verify") == 0


def test_damaged_data_of_a_live_run_is_not_removed(prepared: PreparedData, capsys) -> None:
    (prepared.folder / "units.arrow").unlink()
    run = RunDirectory.create(OpenSlothConfig(data="d.jsonl", model="m"))
    run.write_launch(Launch("/m", ("cpu",), prepared.manifest.key))
    with run_lock(run):
        assert cache("verify", "--delete") == 1
    assert (
        f"kept     {prepared.manifest.key[:8]}  run {run.path.name} works with it" in capsys.readouterr().out
    )
    assert prepared.folder.is_dir()


def test_gc_without_flags_removes_leftovers_only_and_names_the_flags(
    prepared: PreparedData, home: Path, capsys
) -> None:
    left = home / "store" / "tokens" / ".staging-0123-0123456789abcdef"
    left.mkdir()
    (left / "part").write_bytes(b"x" * 3000)
    make_old(hours=10_000)
    assert cache("gc", "--dry-run") == 0
    assert "1 leftover of processes and data long gone would be removed, 3.0 kB" in capsys.readouterr().out
    assert left.is_dir()
    assert cache("gc") == 0
    out = capsys.readouterr().out
    assert "1 leftover of processes and data long gone removed, 3.0 kB" in out
    assert "--max-age 30d, --max-size 200G, --unreferenced, --keep 10" in out
    assert not left.exists()
    assert len(catalog()) == 2
    assert cache("gc") == 0
    assert capsys.readouterr().out.startswith("Nothing to remove; ")


def test_gc_by_age_says_what_goes_and_removes_it_with_its_results(
    prepared: PreparedData, home: Path, capsys
) -> None:
    results = [home / "store" / name / prepared.manifest.key for name in ("records", "results")]
    for path in results:
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    make_old(hours=31 * 24)
    planned = answer(capsys, "gc", "--max-age", "30d", "--dry-run")
    assert planned["dry_run"] is True and len(planned["removed"]) == 2
    assert len(catalog()) == 2
    assert cache("gc", "--max-age", "30d") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert f"{prepared.manifest.key[:8]}  sft data    colours for tiny-llama" in out
    assert "unused for 31 d 00 h" in out
    assert "2 artifacts removed, freed " in out
    assert catalog() == []
    assert not any(path.exists() for path in results)


def test_gc_never_takes_pinned_data_or_that_of_a_live_run(
    prepared: PreparedData, data: Path, tiny_model_dir: Path, prepare: Prepare, capsys
) -> None:
    live = prepare(data, tiny_model_dir, gpus=2)
    run = RunDirectory.create(OpenSlothConfig(data="d.jsonl", model="m"))
    run.write_launch(Launch("/m", ("cpu", "cpu"), live.manifest.key))
    assert cache("pin", prepared.manifest.key) == 0
    capsys.readouterr()
    with run_lock(run):
        report = answer(capsys, "gc", "--keep", "0")
    assert {one["key"]: one["kept_because"] for one in report["kept"]} == {
        live.manifest.key: f"run {run.path.name} works with it",
        prepared.manifest.key: "it is pinned",
    }
    assert [one["kind"] for one in report["removed"]] == ["tokens"]
    assert cache("unpin", prepared.manifest.key[:8]) == 0
    capsys.readouterr()
    assert len(answer(capsys, "gc", "--max-size", "0")["removed"]) == 2
    assert catalog() == []


def test_gc_says_when_it_cannot_get_under_the_size(prepared: PreparedData, capsys) -> None:
    cache("pin", prepared.manifest.key)
    capsys.readouterr()
    assert cache("gc", "--max-size", "1B") == 0
    assert "more than 1 B: the rest is kept, as said." in capsys.readouterr().out


def test_the_shared_store_is_listed_explained_and_collected(
    prepared: PreparedData,
    data: Path,
    tiny_model_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Prepare,
    capsys,
) -> None:
    monkeypatch.setenv("OPENSLOTH_STORE", str(tmp_path / "shared"))
    (prepared.folder / "units.arrow").unlink()
    prepare(data, tiny_model_dir)
    listed = answer(capsys, "ls", "--remote")["artifacts"]
    assert sorted((one["kind"], one["is_here"]) for one in listed) == [("prepared", True), ("tokens", True)]
    answer(capsys, "gc", "--keep", "0")
    assert catalog() == []
    assert cache(*explain(data, tiny_model_dir)) == 0
    assert f"Shared  {tmp_path / 'shared'} has it (" in capsys.readouterr().out
    assert cache("ls", "--remote") == 0
    assert f"{prepared.manifest.key[:8]}  data" in capsys.readouterr().out
    assert len(answer(capsys, "gc", "--remote", "--max-size", "0", "--dry-run")["removed"]) == 2
    assert cache("gc", "--remote", "--max-size", "0") == 0
    assert "2 artifacts, 0 abandoned attempts removed, freed " in capsys.readouterr().out
    assert answer(capsys, "ls", "--remote")["artifacts"] == []


def test_without_a_shared_store_remote_is_a_mistake(home: Path, capsys) -> None:
    for command in ("ls", "gc"):
        assert cache(command, "--remote") == 2
        assert "--remote: there is no shared store; set OPENSLOTH_STORE" in capsys.readouterr().err
