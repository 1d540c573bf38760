"""Asks the judge's processes, and ends one that does not answer."""

import atexit
import json
import os
import queue
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from opensloth_core.errors import TrainingError
from opensloth_core.rewards.cores import num_cores

JUDGE_CPU_SECONDS = 1.0
"""For one comparison; most take milliseconds. CPU time, so that a busy machine gives the same verdicts."""
HANGING_SECONDS = 10.0
"""What has not answered by then cannot be interrupted from within."""
_START_SECONDS = 120.0
_MEMORY_BYTES = 2 << 30
_MAX_JUDGES = 4

Question = tuple[str, ...]


class Judge:
    """One process that compares, started again after it had to be ended. One thread at a time may ask."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False

    def ask(self, question: Question) -> bool:
        """The verdict; False as well for what takes too long or too much memory.

        Raises:
            TrainingError: the process does not start.
        """
        for _ in range(2):
            process = self._started()
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps(question).encode() + b"\n")
                process.stdin.flush()
            except BrokenPipeError:  # it was killed while it had nothing to do
                self.end()
                continue
            line = self._line(process, HANGING_SECONDS)
            if line is not None:
                return line == "true"
            self.end()
            self._process = self._start()  # it loads while this one's caller goes on
            return False
        raise TrainingError("reward math: its judge's process ends as soon as it has started")

    def end(self) -> None:
        """End the process, if there is one."""
        process, self._process, self._is_ready = self._process, None, False
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = self._start()
        if not self._is_ready:
            if self._line(self._process, _START_SECONDS) != "ready":
                self.end()
                raise TrainingError(
                    "reward math: its judge's process does not start; see what "
                    f"`{sys.executable} -c 'import math_verify'` says"
                )
            self._is_ready = True
        return self._process

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("judge_process.py")
        environment = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
        return subprocess.Popen(
            [sys.executable, "-I", str(script), str(_MEMORY_BYTES), str(JUDGE_CPU_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
            start_new_session=True,  # Ctrl-C at the terminal is for the trainer
        )

    @staticmethod
    def _line(process: subprocess.Popen[bytes], timeout_seconds: float) -> str | None:
        """The next line; `None` where the process ends or is too slow."""
        assert process.stdout is not None
        deadline = time.monotonic() + timeout_seconds
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            received = os.read(process.stdout.fileno(), 4096)
            if not received:
                return None
            line += received
        return line.decode().strip()


class JudgePool:
    """Judges for all threads of this process, started as they are needed."""

    def __init__(self) -> None:
        self._num_judges = min(_MAX_JUDGES, num_cores())
        self._idle: queue.SimpleQueue[Judge] = queue.SimpleQueue()
        self._judges = [Judge() for _ in range(self._num_judges)]
        for judge in self._judges:
            self._idle.put(judge)

    def ask(self, questions: Sequence[Question]) -> list[bool]:
        """A verdict for each question, in their order."""
        if len(questions) <= 1:
            return [self._ask_one(question) for question in questions]
        with ThreadPoolExecutor(min(self._num_judges, len(questions))) as threads:
            return list(threads.map(self._ask_one, questions))

    def end(self) -> None:
        """End all processes."""
        for judge in self._judges:
            judge.end()

    def _ask_one(self, question: Question) -> bool:
        judge = self._idle.get()
        try:
            return judge.ask(question)
        finally:
            self._idle.put(judge)


_pools: dict[int, JudgePool] = {}
_pools_lock = Lock()


def ask_judges(questions: Sequence[Question]) -> list[bool]:
    """A verdict for each question: `(reference, answer)` are equal, `(latex,)` can be parsed.

    Raises:
        TrainingError: the judge does not start.
    """
    with _pools_lock:
        # A forked process must not share its parent's pipes.
        if os.getpid() not in _pools:
            _pools.clear()
            _pools[os.getpid()] = JudgePool()
            atexit.register(_pools[os.getpid()].end)
        pool = _pools[os.getpid()]
    return pool.ask(questions)
