"""`os-train runs rm`: what goes, what stays, and what a kill half way leaves."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.lock import run_lock


def left_in(home: Path) -> list[str]:
    return [path.name for path in (home / "runs").iterdir()]


def test_a_run_goes_with_its_folder_and_the_bytes_are_told(write_run, typed, home) -> None:
    run, other = write_run(age=20), write_run(age=10)
    (run.path / "weights").write_bytes(bytes(1_000_000))
    size = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    assert typed(f"os-train runs rm {run.path.name} --dry-run")[1].endswith("1 run would go, 1.0 MB\n")
    assert run.path.exists()
    code, out, _ = typed(f"os-train runs rm {run.path.name} --json")
    assert code == 0
    assert json.loads(out) == {
        "dry_run": False, "removed": [run.path.name], "kept": {}, "freed_bytes": size,
    }  # fmt: skip
    assert left_in(home) == [other.path.name]


def test_a_running_run_stays(write_run, typed) -> None:
    run = write_run(state=None)
    with run_lock(run):
        code, out, _ = typed("os-train runs rm last --yes")
    assert (code, out) == (1, f"kept {run.path.name}: it is running; stop it first\n")
    assert run.config_path.exists()


def test_a_run_that_is_just_starting_stays(write_run, typed) -> None:
    run = write_run(steps=0, state=None, age=5)
    run.lock_path.unlink()
    assert typed("os-train runs rm last --yes")[1] == f"kept {run.path.name}: it is just starting\n"
    run = RunDirectory(run.path)  # nothing is left of what created it
    assert typed("os-train runs rm last --yes")[0] == 0
    assert not run.path.exists()


def test_a_run_that_another_one_starts_from_stays_unless_that_goes_too(write_run, typed, home) -> None:
    first = write_run(age=30)
    first.adapter_dir.mkdir()
    second = write_run(age=20, init_from=first.path.name)
    code, out, _ = typed(f"os-train runs rm {first.path.name} --yes")
    assert (code, out) == (1, f"kept {first.path.name}: run {second.path.name} starts from it\n")
    assert typed(f"os-train runs rm {first.path.name} {second.path.name} --yes")[0] == 0
    assert left_in(home) == []


def test_a_run_whose_result_another_one_was_launched_with_stays(write_run, typed) -> None:
    first, second = write_run(age=30), write_run(age=20)
    second.write_launch(Launch("/m/tiny", ("cpu",), "b2" * 16, base_model=str(first.adapter_dir)))
    assert typed(f"os-train runs rm {first.path.name} --yes")[0] == 1


def test_a_run_that_the_current_model_is_from_stays(write_run, typed, home) -> None:
    run = write_run()
    (home / "models" / "mine").mkdir(parents=True)
    (home / "models" / "mine" / "current").symlink_to(run.adapter_dir)
    code, out, _ = typed("os-train runs rm last --yes")
    assert (code, out) == (1, f"kept {run.path.name}: {home}/models/mine/current points to it\n")


def test_a_folder_elsewhere_is_not_removed(write_run, typed, tmp_path) -> None:
    run = write_run()
    moved = run.path.rename(tmp_path / "moved")
    write_run()
    assert typed(f"os-train runs rm {moved} --yes")[0] == 1
    assert (moved / "config.json").exists()


def test_without_a_terminal_nothing_goes_unless_yes_is_said(write_run) -> None:
    run = write_run()
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "runs", "rm", "last"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "give --yes" in done.stderr and run.path.exists()


def test_on_a_terminal_it_asks(write_run) -> None:
    run = write_run()

    def answered(word: bytes) -> int:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "runs", "rm", "last"], stdin=theirs, stdout=subprocess.PIPE
        )
        os.write(ours, word)
        out, _ = process.communicate(timeout=20)
        os.close(ours)
        os.close(theirs)
        assert b"Remove 1 run with checkpoints and results? [y/N]" in out
        return process.returncode

    assert answered(b"\n") == 1
    assert run.path.exists()
    assert answered(b"y\n") == 0
    assert not run.path.exists()


def test_what_a_killed_removal_left_is_no_run_and_goes_with_the_next(write_run, typed, home) -> None:
    left = home / "runs" / ".removed" / "sft-old-1f3a"
    run = write_run()
    left.mkdir(parents=True)
    (left / "config.json").write_text("{}")
    assert len(typed("os-train runs ls")[1].splitlines()) == 2
    assert typed(f"os-train runs rm {run.path.name} --yes")[0] == 0
    assert left_in(home) == []
