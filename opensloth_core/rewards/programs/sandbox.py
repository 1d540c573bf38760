"""Starts the process that a program runs in, talks to it, and ends it."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from opensloth_core.errors import ConfigError, TrainingError

SANDBOX_VARIABLE = "OPENSLOTH_CODE_SANDBOX"
MAX_REPLY_BYTES = 1 << 18
_START_SECONDS = 60.0
_PACKAGE_ROOT = str(Path(__file__).parents[3])
_PYTHON = (sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c")
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from opensloth_core.rewards.programs.harness import main; main()"
)
_SYSTEM_PATHS = (
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/localtime",
    "/etc/ld.so.cache", "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run of a program may use."""

    wall_seconds: float = 15.0
    cpu_seconds: int = 5
    memory_bytes: int = 1 << 30
    file_bytes: int = 1 << 20


class Sandbox:
    """One process, confined before the program is handed to it; leaving the context ends it.

    Args:
        stdin: what the program reads; nothing where not given.
        keeps_output: have what it prints in `output`, rather than thrown away.
    """

    def __init__(self, limits: Limits, stdin: IO[bytes] | None = None, keeps_output: bool = False) -> None:
        self._limits, self._stdin, self._keeps_output = limits, stdin, keeps_output
        self._received = b""

    def __enter__(self) -> Self:
        """Start the process.

        Raises:
            ConfigError: this machine cannot confine it.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="opensloth-code-", ignore_cleanup_errors=True)
        questions, self._questions = os.pipe()
        self._replies, replies = os.pipe()
        settings = asdict(self._limits) | {
            "questions": questions,
            "replies": replies,
            "readable": [*_python_path(), *_shared_libraries(), *_SYSTEM_PATHS],
            "path": _python_path(),
            "must_confine": os.environ.get(SANDBOX_VARIABLE) != "limits",
        }
        try:
            self._process = subprocess.Popen(
                [*_PYTHON, _START, _PACKAGE_ROOT, json.dumps(settings)],
                stdin=self._stdin or subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._keeps_output else subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self._folder.name,
                # No variable of the trainer's: tokens and keys are in there.
                env={
                    "HOME": self._folder.name, "TMPDIR": self._folder.name, "LANG": "C.UTF-8",
                    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
                },
                pass_fds=(questions, replies),
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(questions)
            os.close(replies)
        os.set_blocking(self._questions, False)
        self._check_ready()
        self._deadline = time.monotonic() + self._limits.wall_seconds
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The reply; `None` where the process ends, is out of time or says too much."""
        return self._reply() if self._send(json.dumps(question).encode() + b"\n") else None

    def tell(self, message: dict[str, Any]) -> None:
        """Send what has no reply."""
        self._send(json.dumps(message).encode() + b"\n")

    @property
    def is_out_of_time(self) -> bool:
        """Whether the wall clock's limit has passed."""
        return time.monotonic() >= self._deadline

    def output(self, max_bytes: int) -> bytes | None:
        """All that the program prints until it ends; `None` where it fails, prints more or is out of time."""
        assert self._process.stdout is not None
        printed = b""
        while self._wait(self._process.stdout.fileno()):
            part = os.read(self._process.stdout.fileno(), 65536)
            if not part:
                is_ended = self._ended_well()
                return printed if is_ended else None
            printed += part
            if len(printed) > max_bytes:
                return None
        return None

    def _check_ready(self) -> None:
        # Starting Python is not the program's time; on a busy machine it takes a while.
        self._deadline = time.monotonic() + _START_SECONDS
        reply = self._reply()
        if reply is not None and reply.get("ready"):
            return
        self._end()
        if reply is None:
            raise TrainingError(f"reward code: {sys.executable} does not start in the sandbox")
        raise ConfigError(
            f"reward code: this machine cannot keep programs in a sandbox ({reply.get('problem')}). In a "
            f"container that holds nothing worth protecting, {SANDBOX_VARIABLE}=limits runs them with "
            "limits on time and memory alone"
        )

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        for descriptor in (self._questions, self._replies):
            os.close(descriptor)
        self._folder.cleanup()

    def _ended_well(self) -> bool:
        try:
            return self._process.wait(max(0.0, self._deadline - time.monotonic())) == 0
        except subprocess.TimeoutExpired:
            return False

    def _send(self, data: bytes) -> bool:
        while data:
            if not self._wait(self._questions, select.POLLOUT):
                return False
            try:
                data = data[os.write(self._questions, data) :]
            except BrokenPipeError:
                return False
        return True

    def _reply(self) -> dict[str, Any] | None:
        while b"\n" not in self._received:
            if len(self._received) > MAX_REPLY_BYTES or not self._wait(self._replies):
                return None
            part = os.read(self._replies, 65536)
            if not part:
                return None
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        try:
            reply = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return reply if isinstance(reply, dict) else None

    def _wait(self, descriptor: int, event: int = select.POLLIN) -> bool:
        left = self._deadline - time.monotonic()
        # select.select knows no descriptors above 1023, of which a trainer may have many.
        poll = select.poll()
        poll.register(descriptor, event)
        return left > 0 and bool(poll.poll(left * 1000))


@cache
def _python_path() -> tuple[str, ...]:
    """Where this Python's modules and packages are."""
    paths = sysconfig.get_paths()
    extensions = sysconfig.get_config_var("DESTSHARED") or f"{paths['stdlib']}/lib-dynload"
    return tuple(dict.fromkeys([paths["stdlib"], str(extensions), paths["purelib"], paths["platlib"]]))


def _shared_libraries() -> list[str]:
    folder = sysconfig.get_config_var("LIBDIR")
    return [str(folder)] if folder else []
