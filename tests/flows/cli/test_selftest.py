"""`os-train selftest`: its table, its exit codes, and that it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.cli import selftest
from flows.cli.selftest import run_selftest, table
from opensloth_core.errors import ConfigError, TrainingError
from opensloth_core.selftest.compare import CPU_LIMITS
from opensloth_core.selftest.parity import Parity
from opensloth_core.selftest.runs import MeasuredRun, variants


def parity(apart: float) -> Parity:
    """Two steps of three runs, the second of which has another last loss."""
    runs = [
        MeasuredRun(one, [5.5, 5.25], [1.0, 0.5], {"w": np.zeros(2, np.float32)}, 1234.5, Path("gone"))
        for one in variants(num_ranks=2)
    ]
    runs[1] = replace(runs[1], loss_S=[5.5, 5.25 + apart])
    return Parity("sft", on_gpu=False, runs=runs, limits=CPU_LIMITS)


def give(monkeypatch: pytest.MonkeyPatch, outcome: Parity | BaseException) -> None:
    """Has the check come to this."""

    def check(gpus: int | None, methods: tuple[str, ...]) -> list[Parity]:
        if isinstance(outcome, BaseException):
            raise outcome
        return [outcome]

    monkeypatch.setattr(selftest, "_check", check)


def test_the_table_has_a_line_for_each_run_and_one_for_what_is_allowed() -> None:
    assert table(parity(apart=2**-20)) == [
        "sft, float32 LoRA of a tiny model, SGD, 2 steps of 4 packs, on CPU processes",
        "run             ranks  accum.  first loss  last loss  tokens/s   Δ loss   Δ norm  Δ weights",
        "1 rank              1       1    5.500000   5.250000     1,234",
        "2 ranks             2       1    5.500000   5.250001     1,234  9.5e-07  0.0e+00    0.0e+00",
        "accumulation 2      1       2    5.500000   5.250000     1,234  0.0e+00  0.0e+00    0.0e+00",
        "allowed                                                           1e-05    1e-05      1e-06",
        "passed: every run trains the same",
    ]


def test_equal_runs_end_with_0_and_json_holds_every_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, parity(apart=0.0))
    assert run_selftest(2, ("sft",), as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["passed"] is True
    assert [run["loss"] for run in printed["checks"][0]["runs"]] == [[5.5, 5.25]] * 3


def test_a_difference_ends_with_1_and_says_what_it_means(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, parity(apart=0.01))
    assert run_selftest(2, ("sft",), as_json=False) == 1
    assert "failed: 2 ranks come to another result than one" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("gpus 9: this machine has 2 GPUs"), 2, "gpus 9: this machine has 2 GPUs"),
        (
            TrainingError("rank 1 exited with code 1; its last lines:\n    Traceback\n    KeyError: 'x'"),
            1,
            "rank 1 exited with code 1; KeyError: 'x'",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_goes_wrong_is_one_line(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    give(monkeypatch, error)
    assert run_selftest(None, ("sft",), as_json=False) == code
    assert capsys.readouterr().err == f"os-train selftest: {line}\n"


def started(tmp_path: Path, *words: str) -> "subprocess.Popen[str]":
    """The real command, which may write nowhere but below `tmp_path`."""
    folders = {"TMPDIR": str(tmp_path / "tmp"), "OPENSLOTH_HOME": str(tmp_path / "home")}
    (tmp_path / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "selftest", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **folders, "CUDA_VISIBLE_DEVICES": ""},
    )


def left_behind(tmp_path: Path) -> list[Path]:
    """Our folders that are still there; torch's compiler keeps a cache of its own in TMPDIR."""
    return [*(tmp_path / "tmp").glob("opensloth*"), *(tmp_path / "home").glob("*")]


def processes_of(folder: Path) -> list[int]:
    """Processes with a path in the folder among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder) in path.read_text():
                found.append(int(path.parent.name))
        except OSError:  # ended meanwhile
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_device_compares_accumulation_and_leaves_nothing_behind(tmp_path: Path) -> None:
    command = started(tmp_path, "--gpus", "1", "--method", "dpo")
    out, err = command.communicate()
    assert command.returncode == 0, err
    assert err.splitlines() == [
        "one device: only accumulation is compared, no ranks with one another",
        "dpo: 1 rank …",
        "dpo: accumulation 2 …",
    ]
    assert out.splitlines()[-1] == "passed: every run trains the same"
    assert left_behind(tmp_path) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ctrl_c_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    command = started(tmp_path, "--gpus", "1", "--method", "sft")
    deadline = time.monotonic() + 200
    while not (ranks := processes_of(tmp_path / "tmp")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ranks, "no rank was ever started"
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert err.splitlines()[-1] == "os-train selftest: interrupted"
    assert processes_of(tmp_path / "tmp") == []
    assert left_behind(tmp_path) == []
