"""`os-train runs logs` and `wait`, on runs whose drivers go on, end, and are killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from opensloth_core.errors import DataError
from opensloth_core.runs.life import recorded


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "runs", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("state", "code"), [("completed", 0), ("failed", 1), ("crashed", 1), ("cancelled", 130), (None, 1)]
)
def test_the_exit_code_of_wait_says_how_the_run_ended(state, code, write_run, typed) -> None:
    run = write_run(state=state)
    found, out, err = typed("os-train runs wait last")
    assert found == code
    assert out.startswith(f"{run.path.name}: {state or 'crashed'} after 3")
    assert ("--resume" in err) == (state != "completed")


def test_a_failure_that_was_the_users_mistake_has_the_code_of_the_command(write_run, typed) -> None:
    run = write_run(state=None)
    with pytest.raises(DataError), recorded(run):
        raise DataError("d.jsonl: empty")
    assert typed("os-train runs wait last")[0] == 2


def test_wait_ends_with_the_run(write_run, drive) -> None:
    run = write_run(state=None)
    driver = drive(run)
    waiting = start("wait", "last")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(1.5)
    driver.stdin.close()
    out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, err) == (0, "")
    assert out.startswith(f"{run.path.name}: completed")


def test_wait_sees_that_the_driver_was_killed(write_run, drive) -> None:
    run = write_run(state=None)
    driver = drive(run)
    waiting = start("wait", run.path.name)
    time.sleep(0.5)
    driver.send_signal(signal.SIGKILL)
    out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 1
    assert out.endswith(": the process that drove it was killed\n")
    assert err == f"to go on with this run from the start: --resume {run.path.name}\n"


def test_wait_gives_up_after_its_timeout(write_run, drive, typed) -> None:
    run = write_run(state=None)
    drive(run)
    begun = time.monotonic()
    code, out, err = typed("os-train runs wait last --timeout 0.6")
    assert (code, out) == (124, "")
    assert err.startswith(f"os-train runs wait: {run.path.name} still goes on after 0.6 s, in state training")
    assert 0.5 < time.monotonic() - begun < 5


def test_logs_are_the_lines_that_the_terminal_showed(write_run, typed) -> None:
    write_run()
    lines = typed("os-train runs logs last")[1].splitlines()
    assert [line[9:] for line in lines] == [
        "preparing data",
        "data: prepared in 1.0 s (key a1a1a1a1a1a1)",
        "training",
        *(
            f"step {s}/3 · loss {5.5 - 0.5 * s:.3f} · grad norm 1.00 · lr 1.0e-04"
            f" · 1,000 tokens/s a GPU{left}"
            for s, left in ((1, ""), (2, " · 10 s left"), (3, ""))
        ),
        "completed",
    ]
    assert typed("os-train runs logs last --lines 2")[1].splitlines() == lines[-2:]


@pytest.mark.parametrize(("count", "expected"), [(0, ""), (1, "c\n"), (2, "b\nc\n"), (9, "a\nb\nc\n")])
def test_the_last_lines_of_a_rank(count, expected, write_run, typed) -> None:
    run = write_run()
    run.log_path(1).write_text("a\nb\nc\n")
    assert typed(f"os-train runs logs last --rank 1 --lines {count}")[:2] == (0, expected)


def test_the_last_lines_of_a_log_longer_than_a_block(write_run, typed) -> None:
    run = write_run()
    lines = [f"{number} {'x' * 97}\n" for number in range(3000)]
    run.log_path(0).write_text("".join(lines))
    assert typed("os-train runs logs last --rank 0 --lines 1500")[1] == "".join(lines[1500:])
    assert typed("os-train runs logs last --rank 0")[1] == "".join(lines)


def test_a_rank_that_has_no_log_is_one_line(write_run, typed) -> None:
    run = write_run()
    run.log_path(0).write_text("hello\n")
    code, out, err = typed("os-train runs logs last --rank 7")
    assert (code, out) == (2, "")
    assert err.endswith(f"rank-7.log: run {run.path.name} has no such log; it has rank-0.log\n")


def test_follow_prints_what_comes_and_ends_with_the_run(write_run, drive) -> None:
    run = write_run(state=None)
    driver = drive(run)
    following = start("logs", "last", "-f", "--lines", "1")
    assert following.stdout.readline().endswith("training\n")
    driver.stdin.write("a word\n")
    driver.stdin.flush()
    assert following.stdout.readline().endswith(" a word\n")
    driver.stdin.close()
    out, err = following.communicate(timeout=20)
    assert (following.returncode, err) == (0, "")
    assert out.endswith(" completed\n")


def test_follow_of_a_rank_waits_for_its_log_and_says_that_the_run_was_killed(write_run, drive) -> None:
    run = write_run(state=None)
    driver = drive(run)
    following = start("logs", "last", "-f", "--rank", "0")
    time.sleep(0.5)
    run.log_path(0).write_text("up\n")
    assert following.stdout.readline() == "up\n"
    os.kill(driver.pid, signal.SIGKILL)
    out, err = following.communicate(timeout=20)
    assert (following.returncode, out) == (0, "")
    assert err.endswith("crashed: the process that drove it was killed\n")
