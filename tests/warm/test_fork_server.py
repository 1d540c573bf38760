"""The fork server of the tests, with nothing heavy imported: its children are as a plain Python's."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.warm.start import REPOSITORY, fork_server

ECHO = "tests.warm.echo"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    """A fork server's client; what it serves has `colorsys` imported."""
    with fork_server(["colorsys"], [ECHO], {}) as program:
        yield program


def run(program: Path | str, *words: object, cwd: Path = REPOSITORY, **added: str) -> Any:
    command = [str(program), "-m", ECHO, *map(str, words)]
    env = {**os.environ, **added}
    return subprocess.run(command, capture_output=True, text=True, input="read me", cwd=cwd, env=env)


def waiting(program: Path, *words: object) -> tuple["subprocess.Popen[str]", int]:
    """A client whose child waits, and the child's process id."""
    command = [str(program), "-m", ECHO, "wait", *map(str, words)]
    client = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, start_new_session=True
    )
    assert client.stdout is not None
    return client, int(client.stdout.readline())


def is_gone_within(pid: int, seconds: float) -> bool:
    """Gone, or dead and only to be waited for by whoever inherited it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_child_has_the_arguments_folder_environment_and_streams_of_its_client(
    program: Path, tmp_path: Path
) -> None:
    warm = run(program, "say", "OPENSLOTH_WORD", "two words", cwd=tmp_path, OPENSLOTH_WORD="größer")
    plain = run(sys.executable, "say", "OPENSLOTH_WORD", "two words", OPENSLOTH_WORD="größer")
    seen, of_plain = json.loads(warm.stdout), json.loads(plain.stdout)
    assert (seen.pop("cwd"), seen.pop("path"), seen.pop("imported")) == (str(tmp_path), str(tmp_path), True)
    assert (of_plain.pop("cwd"), of_plain.pop("path")) == (str(REPOSITORY), str(REPOSITORY))
    assert of_plain.pop("imported") is False
    assert seen.pop("group") == seen.pop("pid")
    assert seen == {name: value for name, value in of_plain.items() if name not in ("pid", "group")}
    assert seen["word"] == "größer" and seen["read"] == "read me"
    assert (warm.stderr, warm.returncode) == ("to stderr\n", 0)


@pytest.mark.parametrize(
    ("words", "code"), [(["exit", 0], 0), (["exit", 65], 65), (["kill", 9], -9), (["kill", 15], -15)]
)
def test_a_client_ends_as_its_child_ends(program: Path, words: list[object], code: int) -> None:
    assert run(program, *words).returncode == code


def test_an_error_ends_with_1_and_its_traceback(program: Path) -> None:
    done = run(program, "raise", "a word")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "KeyError: 'a word'"


def test_signals_reach_the_child(program: Path) -> None:
    client, pid = waiting(program, 17)
    client.send_signal(signal.SIGTERM)
    assert client.wait(timeout=20) == 17
    assert is_gone_within(pid, 20)
    client, _ = waiting(program)
    os.killpg(client.pid, signal.SIGTERM)
    assert client.wait(timeout=20) == -signal.SIGTERM


def test_the_child_of_a_killed_client_is_killed(program: Path) -> None:
    client, pid = waiting(program)
    client.kill()
    client.wait()
    assert is_gone_within(pid, 20)
    assert run(program, "exit", 3).returncode == 3


def test_children_run_side_by_side(program: Path) -> None:
    clients = [waiting(program, code)[0] for code in (4, 5)]
    for client, code in zip(reversed(clients), (5, 4), strict=True):
        client.terminate()
        assert client.wait(timeout=20) == code


def test_another_module_or_environment_has_a_python_of_its_own(program: Path) -> None:
    done = subprocess.run([program, "-m", "colorsys"], capture_output=True, check=True)
    assert done.stdout == b""
    done = run(program, "say", "A_SETTING", A_SETTING="1")
    assert json.loads(done.stdout)["imported"] is False
    assert f"a plain Python runs {ECHO}: A_SETTING differ from the fork server's" in done.stderr


def test_its_children_end_with_the_server_and_the_server_with_the_process_that_started_it(
    tmp_path: Path,
) -> None:
    starter = f"""
import sys, time
from tests.warm.start import fork_server
with fork_server([], [{ECHO!r}], {{}}) as program:
    print(program, flush=True)
    time.sleep(120)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert process.stdout is not None
    program = Path(process.stdout.readline().strip())
    try:
        client, pid = waiting(program)
        process.kill()
        assert is_gone_within(pid, 20)
        assert client.wait(timeout=20) == 1
    finally:
        process.kill()
        process.wait()
        for path in program.parent.iterdir():
            path.unlink()
        program.parent.rmdir()


def test_threads_of_an_import_are_refused(tmp_path: Path) -> None:
    module = "tests.warm.with_thread"
    with fork_server([module], [ECHO], {}) as program:
        done = run(program, "exit", 0)
    assert done.returncode == 1
    assert "the fork server has threads, which no fork of it would have" in done.stderr
