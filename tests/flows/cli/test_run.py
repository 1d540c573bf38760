"""How a run ends: the last line, the exit code, what is left on disk."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flows.cli.finetune import finetune_job
from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from flows.cli.run import run_job, show_run
from flows.cli.shown import Shown
from opensloth_core.config.batch import batch_plan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import DataError, TrainingError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.find import last_state

CONFIG = OpenSlothConfig.of({"data": "d.jsonl", "model": "m"})

WAITING_RUN = """
import sys, time
from dataclasses import replace
from flows.cli.finetune import finetune_job
from flows.cli.run import show_run
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory

def work(config, run_dir):
    try:
        print("started", flush=True)
        time.sleep(60)
    finally:
        time.sleep(0.3)
        print("cleaned up", flush=True)

config = OpenSlothConfig.of({"data": "d.jsonl", "model": "m"})
job = replace(finetune_job("sft"), work=work)
sys.exit(show_run(job, config, RunDirectory.create(config)))
"""


def without_clock(shown: str) -> str:
    return re.sub(r"^\d\d:\d\d:\d\d ", "", shown, flags=re.MULTILINE)


Work = Callable[[OpenSlothConfig, Path], None]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Work], int]:
    """Shows a run whose work is the test's own."""
    monkeypatch.setenv("OPENSLOTH_HOME", str(tmp_path))
    job = finetune_job("sft")
    return lambda work: show_run(replace(job, work=work), CONFIG, RunDirectory.create(CONFIG))


@pytest.mark.parametrize(
    ("error", "code"), [(DataError("d.jsonl: empty"), 2), (TrainingError("rank 1 died"), 1)]
)
def test_our_errors_are_one_line_with_their_exit_code(error, code, show, capsys) -> None:
    def work(config, run_dir):
        raise error

    assert show(work) == code
    out, err = capsys.readouterr()
    assert (out, without_clock(err)) == ("", f"failed\nos-train: {error}\n")


def test_a_setting_refused_late_is_still_named_as_a_flag(show, capsys) -> None:
    def work(config, run_dir):
        batch_plan(2, None, 5, world_size=1)

    assert show(work) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("os-train: --global-batch-size 5 is not a multiple of --batch-size 2 x 1 GPUs")


def test_a_machine_reads_errors_and_the_end_as_json(show, capsys) -> None:
    def work(config, run_dir):
        print("what a library prints")
        raise TrainingError("rank 1 died")

    job = replace(finetune_job("sft"), work=work, refuse=lambda config: None, shown=Shown(as_json=True))
    assert run_job(job, CONFIG, lambda run: 0) == 1
    out, err = capsys.readouterr()
    *events, error, end = map(json.loads, out.splitlines())
    assert [event["state"] for event in events] == ["created", "failed"]
    assert (error["kind"], error["text"]) == ("error", "rank 1 died")
    assert {**end, "time": 0, "run": "", "path": ""} == {
        "time": 0, "kind": "end", "run": "", "path": "", "state": "failed", "adapter": None, "data": None,
        "exit_code": 1,
    }  # fmt: skip
    assert err == "what a library prints\n"


def test_what_is_refused_is_an_end_without_a_run(capsys) -> None:
    def refuse(config):
        raise DataError("d.jsonl: empty")

    job = replace(finetune_job("sft"), refuse=refuse, shown=Shown(as_json=True))
    assert run_job(job, CONFIG, lambda run: 0) == 2
    error, end = map(json.loads, capsys.readouterr().out.splitlines())
    assert (error["text"], end["run"], end["exit_code"]) == ("d.jsonl: empty", None, 2)


def test_a_misspelt_flag_is_json_too_where_json_is_asked_for(capsys) -> None:
    assert main(OS_TRAIN, ["sft", "d.jsonl", "--json", "--lrr", "1"]) == 2
    out, err = capsys.readouterr()
    error, end = map(json.loads, out.splitlines())
    assert error["text"] == "unknown flag --lrr; did you mean --lr?"
    assert (end["exit_code"], err) == (2, "")


def test_a_quiet_run_says_where_its_result_is_and_nothing_else(show, capsys) -> None:
    job = replace(finetune_job("sft"), shown=Shown(quiet=True))
    job.concluded("Adapter  /runs/r/adapter\nLoss     0.5\nTime     3 s")
    assert capsys.readouterr().out == "Adapter  /runs/r/adapter\n"


def test_a_closed_terminal_hides_what_is_said_and_changes_no_exit_code() -> None:
    code = "import sys; from flows.cli.tell import tell; tell(sys.stdout, 'x' * 9); tell(sys.stdout, 'y')"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bug_leaves_its_traceback_in_the_run_directory(show, capsys, tmp_path: Path) -> None:
    def work(config, run_dir):
        raise KeyError("surprise")

    assert show(work) == 1
    (crash_log,) = tmp_path.glob("runs/*/crash.log")
    assert "Traceback" in crash_log.read_text()
    err = without_clock(capsys.readouterr().err)
    assert err == f"crashed\nos-train: a bug in OpenSloth: KeyError: 'surprise'; see {crash_log}\n"


SIGNALS = [
    (signal.SIGINT, 130, "interrupted", False),
    (signal.SIGTERM, 143, "terminated", False),
    (signal.SIGTERM, 143, "terminated", True),
    (signal.SIGHUP, 129, "the terminal was closed", False),
]


@pytest.mark.parametrize(("sent", "code", "said", "is_sigint_ignored"), SIGNALS)
def test_signals_clean_up_and_have_their_exit_codes(
    sent, code, said, is_sigint_ignored, tmp_path: Path
) -> None:
    def ignore_sigint() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    process = subprocess.Popen(
        [sys.executable, "-c", WAITING_RUN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"OPENSLOTH_HOME": str(tmp_path), "PATH": ""},
        # What a shell does to a job started with `&`.
        preexec_fn=ignore_sigint if is_sigint_ignored else None,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    time.sleep(0.1)
    process.send_signal(sent)
    time.sleep(0.05)
    process.send_signal(sent)  # `uv run` passes on what the terminal or a service manager sent to both
    out, err = process.communicate(timeout=20)
    (run_dir,) = (tmp_path / "runs").iterdir()
    assert (out, process.returncode) == ("cleaned up\n", code)
    assert without_clock(err) == f"cancelled\nos-train: {said}\n"
    assert last_state(RunDirectory(run_dir)) == "cancelled"
