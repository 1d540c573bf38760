"""One child process: started in a session of its own, watched, and ended as a group."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from opensloth_core.errors import ConfigError, OpenSlothError, TrainingError
from opensloth_core.launch.process_memory import LOOK_SECONDS, ProcessMemory

TERMINATE_SECONDS = 5.0
"""How long a process may take to end after SIGTERM before SIGKILL follows."""

KILL_SECONDS = 10.0
"""How long a process may take to end after SIGKILL; one that waits for a dead device may never."""

USER_ERROR_EXIT = 65
"""Exit code of a child that printed `error: …` about the user's input (EX_DATAERR of sysexits.h)."""

RUN_ERROR_EXIT = 1
"""Exit code of a child whose last line is `error: …` about the run."""

POLL_SECONDS = 0.02
LAST_LINES = 15
MAX_LINE_BYTES = 1 << 20


class ProcessFailed(TrainingError):
    """A child process ended before its work was done."""

    by_signal = False
    """Whether a signal that we did not send ended it."""

    explained = False
    """Whether it said itself why, in an error of ours."""

    ended = 0.0
    """When, on the monotonic clock."""


async def run_process(
    name: str,
    module: str,
    arguments: Sequence[str],
    env: Mapping[str, str],
    log_path: Path,
    on_line: Callable[[str], None],
    on_spawn: Callable[[], None] = lambda: None,
) -> None:
    """Run `python -m module arguments…` to its end; what ends this coroutine ends the process too.

    Args:
        name: what the process is called in errors, such as `rank 1`.
        env: added to this process's environment.
        log_path: receives everything the process prints.
        on_line: receives every line it prints.
        on_spawn: called once the process exists.

    Raises:
        ConfigError: the process reported a mistake in the user's input.
        ProcessFailed: it ended with anything but 0; the message is what it reported, or names it and shows
            its last lines.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env={**os.environ, **env, "PYTHONUNBUFFERED": "1", "OPENSLOTH_PARENT_PID": str(os.getpid())},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=MAX_LINE_BYTES,
    )
    on_spawn()
    memory = ProcessMemory(process.pid)
    last_lines: deque[str] = deque(maxlen=LAST_LINES)
    assert process.stdout is not None
    reader = asyncio.create_task(_copy_lines(process.stdout, log_path, last_lines, on_line))
    try:
        code = await _exit_code(process, reader, memory)
        ended = time.monotonic()
    except asyncio.CancelledError:
        own_end = process.returncode
        await asyncio.shield(_end_group(process))
        if own_end:
            raise _failure(name, own_end, last_lines, time.monotonic(), memory) from None
        raise
    finally:
        # Children that outlived the process would keep its output open.
        _signal_group(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_read_to_end(process.stdout, reader), timeout=2)
    if code != 0:
        # Ranks that lose a peer fail moments after it; give each the time to be seen failing. One that
        # is cancelled meanwhile still failed, perhaps as the first.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.5)
        raise _failure(name, code, last_lines, ended, memory)


def first_failure(failures: Sequence[OpenSlothError]) -> OpenSlothError:
    """The failure that brought the others about.

    A mistake in the input and what we found ourselves first, then a process that said why it ended, then one
    that was killed, before those that only lost a peer.
    """

    def order(failure: OpenSlothError) -> tuple[bool, bool, bool, float]:
        if not isinstance(failure, ProcessFailed):
            return (False, False, False, 0.0)
        return (True, not failure.explained, not failure.by_signal, failure.ended)

    return min(failures, key=order)


def _failure(
    name: str, code: int, last_lines: deque[str], ended: float, memory: ProcessMemory
) -> OpenSlothError:
    lines = [line for line in last_lines if line.strip()]
    reported = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if code == USER_ERROR_EXIT and reported:
        return ConfigError(reported[-1])
    explained = code == RUN_ERROR_EXIT and bool(lines) and lines[-1].startswith("error: ")
    error = ProcessFailed(reported[-1] if explained else _message(name, code, lines, memory))
    error.by_signal, error.explained, error.ended = code < 0, explained, ended
    return error


def _message(name: str, code: int, lines: list[str], memory: ProcessMemory) -> str:
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
    message = f"{name} {how}"
    if -code == signal.SIGKILL:
        message += f" ({memory.of_a_killed_process()})"
    if lines:
        message += "; its last lines:\n" + "\n".join(f"    {line}" for line in lines)
    return message


async def _exit_code(
    process: asyncio.subprocess.Process, reader: asyncio.Task[None], memory: ProcessMemory
) -> int:
    """The code a process ends with, or what stopped its output from being read.

    A process whose output nobody reads would wait for ever once the pipe is full.
    """
    ended = asyncio.create_task(_ended(process, memory))
    try:
        await asyncio.wait({ended, reader}, return_when=asyncio.FIRST_COMPLETED)
        if reader.done():
            reader.result()
        return await ended
    finally:
        ended.cancel()


async def _read_to_end(stream: asyncio.StreamReader, reader: asyncio.Task[None]) -> None:
    """Wait for the reader; where it failed, read what it left, since only an emptied pipe is closed."""
    try:
        await reader
    finally:
        while await stream.read(MAX_LINE_BYTES):
            pass


async def _ended(process: asyncio.subprocess.Process, memory: ProcessMemory | None = None) -> int:
    """The code a process ends with, once it has ended.

    `Process.wait` of Python 3.11 also waits for every child of it that holds its output open.
    Source: https://github.com/python/cpython/issues/119710
    """
    looked = 0.0
    while process.returncode is None:
        if memory and time.monotonic() - looked > LOOK_SECONDS:
            memory.look()
            looked = time.monotonic()
        await asyncio.sleep(POLL_SECONDS)
    return process.returncode


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """SIGTERM to the process's group, SIGKILL to what is left of it after `TERMINATE_SECONDS`."""
    _signal_group(process.pid, signal.SIGTERM)
    # A stopped process would keep SIGTERM pending.
    _signal_group(process.pid, signal.SIGCONT)
    try:
        await asyncio.wait_for(_ended(process), timeout=TERMINATE_SECONDS)
    except TimeoutError:
        _signal_group(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_ended(process), timeout=KILL_SECONDS)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


async def _copy_lines(
    stream: asyncio.StreamReader, log_path: Path, last_lines: deque[str], on_line: Callable[[str], None]
) -> None:
    with log_path.open("ab", buffering=0) as log:
        while True:
            try:
                raw = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                raw = end.partial
            except asyncio.LimitOverrunError as overrun:
                raw = await stream.readexactly(overrun.consumed)
            if not raw:
                return
            log.write(raw)
            # Progress bars redraw with carriage returns: keep what is left on the screen.
            line = re.split(r"\r+", raw.decode(errors="replace").rstrip("\r\n"))[-1]
            last_lines.append(line)
            on_line(line)
