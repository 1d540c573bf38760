"""A run in a tmux session, in real tmux."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.cli.finetune import finetune_job
from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from flows.cli.parser import parse_flags
from flows.cli.train_prepared import OS_SFT
from opensloth_core.runs.events import read_events
from tests.flows.conftest import Start

FLAGS = finetune_job("sft").command.flags


def tmux(*words: str) -> str:
    done = subprocess.run(["tmux", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A tmux server of the test's own."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path_factory.mktemp("t")))
    monkeypatch.delenv("TMUX", raising=False)
    yield
    tmux("kill-server")


def refused(flag: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(OS_TRAIN, ["sft", "missing.jsonl", "-m", "embedded", flag]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return str(line)


def test_a_name_is_optional_and_follows_an_equals_sign() -> None:
    assert parse_flags(FLAGS, ["--tmux", "d.jsonl"]) == {"tmux": "auto", "data": ["d.jsonl"]}
    assert parse_flags(FLAGS, ["d.jsonl", "--tmux=train"])["tmux"] == "train"
    assert OS_SFT.default is not None
    assert parse_flags(OS_SFT.default.flags, ["--tmux", "3f2a"]) == {"tmux": "auto", "prepared": "3f2a"}


@pytest.mark.parametrize("name", ["a.b", "a:b", "=a", "", "a b"])
def test_names_that_tmux_cannot_have_are_refused(
    name: str, server: None, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"--tmux {name!r}: no name for a tmux session" in refused(f"--tmux={name}", capsys)
    assert not home.exists()


def test_a_session_that_exists_is_left_alone(
    server: None, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmux("new-session", "-d", "-s", "mine", "sleep 60")
    line = refused("--tmux=mine", capsys)
    assert "--tmux mine: there is such a session; look at it (tmux attach -t mine)" in line
    # Only a whole name counts.
    assert "missing.jsonl: no such file" in refused("--tmux=min", capsys)
    assert tmux("list-sessions", "-F", "#{session_name}") == "mine"


def test_without_tmux_one_line_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "--tmux: is not installed here; install the package tmux" in refused("--tmux", capsys)


def in_session(session: str, window: str) -> str:
    return tmux("capture-pane", "-p", "-S", "-", "-t", f"={session}:{window}")


def wait_until(is_so: Callable[[], object], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


def processes_of(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_ranks_in_a_session_that_is_killed_and_then_go_on_in_another(
    server: None,
    os_train: Start,
    home: Path,
    tiny_model_dir: Path,
    chat_data: Path,
    two_cores: None,
) -> None:
    words = ["sft", chat_data, "--model", tiny_model_dir, "--gpus", 2, "--max-seq-length", 224]

    def started(*words: object) -> Path:
        out, err = (command := os_train(*words)).communicate(timeout=100)
        assert command.returncode == 0, err
        (run_dir,) = (home / "runs").iterdir()
        session = str(words[-1]).partition("=")[2] or run_dir.name.replace(".", "_")
        assert out.splitlines() == [
            f"Run      {run_dir.name}",
            f"Attach   tmux attach -t {session}",
            f"Wait     os-train runs wait {run_dir.name}",
        ]
        return run_dir

    def end_of(run_dir: Path) -> int:
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli", "runs", "wait", run_dir.name], timeout=120, check=False
        )
        return done.returncode

    run_dir = started(*words, "--max-steps", 100, "--tmux")
    session = run_dir.name.replace(".", "_")
    wait_until(lambda: any(event["kind"] == "step" for event in read_events(run_dir / "events.jsonl")))
    tmux("kill-session", "-t", session)
    assert end_of(run_dir) == 130
    wait_until(lambda: not processes_of(run_dir), 20)

    assert started("sft", "--resume", run_dir.name, "--tmux=again") == run_dir
    # It waits from before the end, for the end of this attempt.
    assert end_of(run_dir) == 0
    assert tmux("list-windows", "-t", "=again", "-F", "#{window_name}").split() == [
        "workflow", "rank-0", "rank-1",
    ]  # fmt: skip
    for rank in range(2):
        wait_until(lambda rank=rank: f"rank {rank} of 2 on cpu" in in_session("again", f"rank-{rank}"), 10)
    wait_until(lambda: "The run ended with exit code 0" in in_session("again", "workflow"), 30)
    assert "100/100" in in_session("again", "workflow")
    tmux("send-keys", "-t", "=again:workflow", "Enter")
    wait_until(lambda: not processes_of(run_dir), 20)
    assert tmux("list-sessions") == ""
