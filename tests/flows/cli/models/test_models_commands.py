"""`os-train models`: what is typed, and what is said."""

import json
from pathlib import Path

from opensloth_core.registry.model_registry import open_registry
from tests.opensloth_core.registry.adapters import marks, record, write_adapter


def test_a_run_is_promoted_shown_and_rolled_back(trained, typed, home: Path) -> None:
    assert typed("os-train models ls") == (
        0, f"Nothing was promoted yet in {home}/models: os-train models promote NAME RUN\n", "",
    )  # fmt: skip
    first, second = trained(1), trained(2)
    code, out, _ = typed(f"os-train models promote bot {first.path.name}")
    assert (
        code == 0
        and out.startswith("bot: 0001-")
        and out.endswith(f"run {first.path.name}; it is the first\n")
    )
    code, out, _ = typed(f"os-train models promote bot {second.path.name} --why 'answers better'")
    assert code == 0 and out.startswith("bot: 0002-") and "; kept: 0001-" in out
    code, out, _ = typed("os-train models path bot")
    assert code == 0 and marks(Path(out.strip())) == {2} and Path(out.strip()).name.startswith("0002-")
    code, out, _ = typed("os-train models show bot")
    assert "answers better" in out and [line.split()[0][:5] for line in out.splitlines()[-2:]] == [
        "0002-",
        "0001-",
    ]
    code, out, _ = typed("os-train models rollback bot")
    assert code == 0 and "0001-" in out and " is current again, from run " in out and "; it was 0002-" in out
    code, out, _ = typed("os-train models ls")
    head, row = out.splitlines()
    assert head.split() == ["model", "version", "promoted", "run", "data", "metric", "kept"]
    assert row.split()[0] == "bot" and row.split()[1].startswith("0001-") and row.split()[-1] == "2"
    listed = json.loads(typed("os-train models ls --json")[1])["models"]
    assert [(one["name"], one["current"]["record"]["run"]) for one in listed] == [("bot", first.path.name)]


def test_the_metric_that_decided_is_shown_old_and_new(typed, home: Path, tmp_path: Path) -> None:
    judged = {"metric": "loss", "metrics_old": {"loss": 1.25}, "metrics_new": {"loss": 0.98}}
    open_registry("bot").promote(write_adapter(tmp_path / "a", 1), record(1, **judged), keep=2)
    assert "loss 1.250 → 0.9800" in typed("os-train models ls")[1]
    refusal = record(2, promoted=False, why="not better by 1 %")
    open_registry("bot").note_judged(refusal)
    assert "Refused   run run-2 " in typed("os-train models show bot")[1]


def test_what_cannot_be_promoted_is_refused_in_one_line(trained, write_run, typed) -> None:
    failed, whole = write_run(state="failed", age=50), trained(1)
    code, out, err = typed(f"os-train models promote bot {failed.path.name}")
    assert (code, out) == (2, "")
    assert err == (
        f"os-train models promote: run {failed.path.name}: is not completed but failed; let it end or resume "
        "it, or promote another\n"
    )
    (whole.adapter_dir / "adapter_model.safetensors").unlink()
    code, _, err = typed(f"os-train models promote bot {whole.path.name}")
    assert code == 2 and err.count("\n") == 1 and "no adapter_model.safetensors" in err
    code, _, err = typed(f"os-train models promote Bot! {whole.path.name}")
    assert code == 2 and err.startswith("os-train models promote: model name 'Bot!': give lower-case letters")
    assert "promote a run: os-train models promote bot RUN" in typed("os-train models rollback bot")[2]


def test_a_version_and_then_the_model_go(trained, typed, home: Path) -> None:
    runs = [trained(mark) for mark in (1, 2)]
    for run in runs:
        typed(f"os-train models promote bot {run.path.name}")
    assert typed("os-train models rm bot --dry-run")[1].startswith("bot with 2 versions would go, ")
    code, _, err = typed("os-train models rm bot --version 0002 --yes")
    assert code == 2 and "is the current version; roll back first" in err
    assert typed("os-train models rm bot --version 0001 --yes")[0] == 0
    assert typed("os-train models rm bot --yes")[1].startswith("bot with 1 version removed, ")
    assert list((home / "models").iterdir()) == []
