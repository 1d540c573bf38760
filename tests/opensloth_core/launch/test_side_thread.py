"""Work beside an event loop that nobody waits for once it is not wanted."""

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from opensloth_core.errors import DataError
from opensloth_core.launch.side_thread import in_side_thread, stop_if_unwanted

colour = ContextVar("colour", default="white")


async def test_what_the_work_gives_and_raises_is_the_callers_and_it_sees_the_callers_context() -> None:
    def work(shade: str, *, end: str) -> str:
        if end == "broken":
            raise DataError("d.jsonl: empty")
        stop_if_unwanted()
        return f"{shade} {colour.get()}"

    colour.set("blue")
    assert await in_side_thread(work, "dark", end="whole") == "dark blue"
    with pytest.raises(DataError, match=r"d\.jsonl: empty"):
        await in_side_thread(work, "dark", end="broken")
    stop_if_unwanted()  # does nothing here


async def test_work_whose_caller_was_cancelled_ends_where_it_asks() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        try:
            stop_if_unwanted()
        except asyncio.CancelledError:
            ended.set()

    waiting = asyncio.create_task(in_side_thread(work))
    while not begun.is_set():
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    assert ended.wait(10)


CANCELLED = """
import asyncio, threading
from opensloth_core.launch.side_thread import in_side_thread

async def main():
    begun = threading.Event()
    waiting = asyncio.create_task(in_side_thread(lambda: begun.set() or threading.Event().wait(60)))
    while not begun.is_set():
        await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.wait({waiting})
    print("cancelled", waiting.cancelled())

asyncio.run(main())
"""


def test_a_program_ends_without_work_that_nobody_waits_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CANCELLED], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "cancelled True\n", "")
