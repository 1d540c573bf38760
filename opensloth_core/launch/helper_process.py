"""A child process that answers: pickled objects go in on its standard input and come out on its output.

Plain child processes rather than multiprocessing's, since those run the caller's main module again,
which a script without a guard does not survive.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from typing import IO, Any

from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.parent import die_with_parent


class HelperDied(OpenSlothError):
    """A helper process ended before it answered."""


class HelperProcess:
    """`python -m module arguments…`, which ends with this process at the latest.

    Args:
        work: what it does, for the error when it dies, such as "tokenizes".
    """

    def __init__(self, module: str, work: str, arguments: tuple[str, ...] = ()) -> None:
        self._work = work
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "OPENSLOTH_PARENT_PID": str(os.getpid()),
                "TOKENIZERS_PARALLELISM": "false",
            },
        )

    def send(self, value: object) -> None:
        """Hand something over.

        Raises:
            HelperDied: the process ended.
        """
        assert self._process.stdin is not None, "the process has pipes"
        try:
            send(self._process.stdin, value)
        except OSError as err:
            raise self._died() from err

    def receive(self) -> Any:
        """The next answer; an `OpenSlothError` that the process answers with is raised.

        Raises:
            HelperDied: the process ended.
        """
        assert self._process.stdout is not None, "the process has pipes"
        try:
            answer = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as err:
            raise self._died() from err
        if isinstance(answer, OpenSlothError):
            raise answer
        return answer

    def end(self) -> None:
        """Kill the process and wait for it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None, "the process has pipes"
            with contextlib.suppress(BrokenPipeError):  # what it never read is written when closing
                stream.close()

    def _died(self) -> HelperDied:
        code = self._process.wait()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return HelperDied(
            f"the process that {self._work} {how}; memory may have run out, or somebody ended it: run again"
        )


def send(stream: IO[bytes], value: object) -> None:
    """Write an object so that the other end can load it."""
    pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)
    stream.flush()


def helper_streams() -> tuple[IO[bytes], IO[bytes]]:
    """What a helper process reads requests from and writes answers to; ties its life to its parent's."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    return sys.stdin.buffer, answers
