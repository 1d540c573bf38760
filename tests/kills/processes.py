"""Processes of one cell, grandchildren included: all that inherited its mark in their environment."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "OPENSLOTH_KILLS_CELL"


def processes_of(mark: str) -> list[int]:
    """Processes that run, with this mark; zombies, which only wait to be counted, are not among them."""
    wanted = f"\0{MARK}={mark}\0".encode()
    return [pid for pid in _all() if wanted in b"\0" + _read(pid, "environ") and _state(pid) not in ("Z", "")]


def find(mark: str, words: str, environment: str = "") -> int | None:
    """The process whose command line has these words, and whose environment has this entry."""
    for pid in processes_of(mark):
        command = _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")
        entry = f"\0{environment}\0".encode() if environment else b""
        if words in command and entry in b"\0" + _read(pid, "environ"):
            return pid
    return None


def command_line(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()[:120]


def left_after(mark: str, seconds: float, except_for: tuple[int, ...] = ()) -> list[str]:
    """Command lines of what still runs after so many seconds, the sooner the better."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in processes_of(mark) if pid not in except_for]:
        if time.monotonic() > deadline:
            return [command_line(pid) for pid in left]
        time.sleep(0.1)
    return []


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _all() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _state(pid: int) -> str:
    return _read(pid, "stat").rpartition(b")")[2].decode().split()[0] if _read(pid, "stat") else ""
