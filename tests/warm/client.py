"""Stands in for `python -m MODULE ARGUMENTS…`: has the fork server run the module, and ends as it ends.

`start.py` puts it beside a `settings.json`, behind a line that makes it executable. What the fork server
would not run alike goes to a plain Python: other modules, and an environment that differs in anything
but what is read after the imports.
"""

import array
import ctypes
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress

READ_WHILE_RUNNING = {
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    *("UNSLOTH_COMPILE_LOCATION", "PYTHONUNBUFFERED", "COLUMNS", "LINES"),
    *("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"),  # torch sets them in a test's process as it goes
    *("NVIDIA_TF32_OVERRIDE", "TRITON_F32_DEFAULT"),  # of GPUs, with which CUDA_VISIBLE_DEVICES differs
}
"""Variables the server's children follow all the same; `environment.py` sees to the one read at import."""

PREFIXES_READ_WHILE_RUNNING = ("OPENSLOTH_", "PREFECT_", "PYTEST_")

FORWARDED = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT),
)

_PR_SET_PDEATHSIG = 1


def main() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  # pathlib costs a third more
    with open(f"{folder}/settings.json") as file:  # noqa: PTH123
        settings = json.load(file)
    runs_module = len(sys.argv) > 2 and sys.argv[1] == "-m" and sys.argv[2] in settings["modules"]
    plain = [settings["python"], *sys.argv[1:]]
    if not runs_module:
        os.execv(plain[0], plain)
    others = fixed(os.environ).items() ^ fixed(settings["environment"]).items()
    if others:
        names = ", ".join(sorted({name for name, _ in others}))
        print(f"a plain Python runs {sys.argv[2]}: {names} differ from the fork server's", file=sys.stderr)
        sys.stderr.flush()
        os.execv(plain[0], plain)
    die_with_parent()
    try:
        end_like(run_by_server(folder))
    except (ConnectionError, EOFError):
        with open(f"{folder}/server.log") as log:  # noqa: PTH123
            sys.exit("the fork server ended: " + log.read()[-2000:])


def run_by_server(folder: str) -> int:
    """The code that the child ended with, or the signal's number, negative."""
    caught: list[int] = []
    for number in FORWARDED:
        signal.signal(number, lambda caught_number, frame: caught.append(caught_number))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{folder}/socket")
    request = {"argv": sys.argv[2:], "cwd": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
    content = json.dumps(request).encode()
    fds = array.array("i", [0, 1, 2]).tobytes()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)]
    server.sendmsg([len(content).to_bytes(8, "little")], rights)
    server.sendall(content)
    answers = server.makefile("rb", buffering=0)
    what, value = answer(answers)
    if what == "code":
        return value

    def forward(number: int, frame: object) -> None:
        with suppress(ProcessLookupError):  # it has just ended, and how is on its way
            os.killpg(value, number)

    for number in FORWARDED:
        signal.signal(number, forward)
    for number in caught:
        forward(number, None)
    return answer(answers)[1]


def answer(answers: "socket.SocketIO") -> tuple[str, int]:
    """A line of the server's, such as `pid 4711`."""
    line = answers.readline()
    if not line:
        raise EOFError
    what, value = line.split()
    return what.decode(), int(value)


def fixed(environment: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """The variables that have to be those of the server."""
    return {
        name: value
        for name, value in environment.items()
        if name not in READ_WHILE_RUNNING and not name.startswith(PREFIXES_READ_WHILE_RUNNING)
    }


def die_with_parent() -> None:
    """As `opensloth_core.launch.parent`; the server ends the child once this process is gone."""
    expected = os.environ.get("OPENSLOTH_PARENT_PID")
    if expected:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(expected):
            os._exit(1)


def end_like(code: int) -> None:
    """End with the code, or by the signal where it is negative."""
    if code >= 0:
        os._exit(code)
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    time.sleep(60)


if __name__ == "__main__":
    main()
