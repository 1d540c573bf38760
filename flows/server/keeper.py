"""The process that keeps Prefect's server and a worker up, in the background, until it is told to stop.

Run as a program by `os-train server start`, which hands over the locks of the home and of Prefect's database;
the kernel lets go of them however this process ends. Should it be killed, the server ends with its standard
input and the worker with its parent, and runs go on to their end.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from flows.server.record import (
    ServerRecord,
    began_ticks,
    record_path,
    remove_record,
    server_dir,
    write_record,
)

MOST_RESTARTS = 5
POLL_SECONDS = 0.2
START_SECONDS = 300.0
WORKER_STOP_SECONDS = 55.0
SERVER_STOP_SECONDS = 6.0


class Child:
    """One of the two processes."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        self.name = name
        self.log_path = server_dir() / f"{name}.log"
        self.is_ready = threading.Event()
        self._command, self._environment = [sys.executable, "-m", *command], environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it; `is_ready` is set once it printed a line."""
        self.is_ready.clear()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        threading.Thread(target=self._await_line, args=(self._process,), daemon=True).start()

    def code(self) -> int | None:
        """How it ended; None while it has not."""
        return self._process.poll() if self._process else None

    def stop(self, seconds: float, ask: Callable[["subprocess.Popen[bytes]"], None]) -> None:
        """Ask it to end, and kill it where it has not after some seconds."""
        if self._process is None or self._process.poll() is not None:
            return
        ask(self._process)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_line(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        if process.stdout.readline():
            self.is_ready.set()


class Keeper:
    """Keeps the two up."""

    def __init__(self, record: ServerRecord, limit: int, tell: int) -> None:
        self._record, self._tell = record, tell
        server_environment = {
            **os.environ,
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(record.port),
            "PREFECT_UI_ENABLED": "1",
            "PREFECT_API_URL": record.address,  # rather than that of the user's profile
        }
        worker_environment = {
            **os.environ,
            "PREFECT_API_URL": record.address,
            "PREFECT_WORKER_QUERY_SECONDS": os.environ.get("PREFECT_WORKER_QUERY_SECONDS", "1"),
            "OPENSLOTH_PARENT_PID": str(os.getpid()),
        }
        if password := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
            worker_environment.setdefault("PREFECT_API_AUTH_STRING", password)
        self._server = Child("server", ["flows.own_server", str(record.port)], server_environment)
        self._worker = Child("worker", ["flows.server.worker", str(limit)], worker_environment)
        self._children = (self._server, self._worker)
        self._is_told = False
        self._is_stopping = False

    def run(self) -> int:
        """Keep them up until SIGTERM; gives the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        problem = self._keep()
        if problem:
            self._say(f"failed {problem}")
            print(problem, file=sys.stderr, flush=True)
        elif not self._is_told:
            self._say("failed it was stopped meanwhile")
        self._write("stopping")
        self._worker.stop(WORKER_STOP_SECONDS, lambda process: process.terminate())
        self._server.stop(SERVER_STOP_SECONDS, _close_input)
        remove_record()
        return 1 if problem else 0

    def _keep(self) -> str | None:
        """What is wrong, once something is, or None once it is told to stop."""
        restarts, deadline = 0, time.monotonic() + START_SECONDS
        for child in self._children:
            child.start()
        self._write("starting")
        while not self._is_stopping:
            for child in self._children:
                if (code := child.code()) is None:
                    continue
                if not self._is_told or restarts == MOST_RESTARTS:
                    return f"the {child.name} ended with code {code}: {_last_line(child.log_path)}"
                restarts += 1
                print(
                    f"the {child.name} ended with code {code}; starting it again", file=sys.stderr, flush=True
                )
                child.start()
                self._write("up")
            if not self._is_told and all(child.is_ready.is_set() for child in self._children):
                self._write("up")
                self._say("up")
                self._is_told = True
            if not self._is_told and time.monotonic() > deadline:
                return f"not up after {START_SECONDS:g} s; free the machine and start it again"
            time.sleep(POLL_SECONDS)
        return None

    def _write(self, state: str) -> None:
        self._record = self._record.model_copy(
            update={"state": state, "server": self._server.pid, "worker": self._worker.pid}
        )
        write_record(self._record)

    def _say(self, line: str) -> None:
        """Tell the command that waits for the start; it may be gone."""
        with contextlib.suppress(OSError):
            os.write(self._tell, f"{line}\n".encode())

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        self._is_stopping = True


def _close_input(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _last_line(path: Path) -> str:
    lines = [line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return f"{lines[-1]} (see {path})" if lines else f"see {path}"


def main() -> int:
    """Keep the server that the record describes."""
    limit, tell = (int(word) for word in sys.argv[1:3])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    process = os.getpid()
    record = ServerRecord.model_validate_json(record_path().read_bytes())
    own = {"keeper": process, "keeper_ticks": began_ticks(process)}
    return Keeper(record.model_copy(update=own), limit, tell).run()


if __name__ == "__main__":
    sys.exit(main())
