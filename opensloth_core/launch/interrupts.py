"""SIGTERM and SIGINT ask a run to end: they cancel its task, which ends its processes and says so.

Twice counts once, since a second cancellation would cut short what the first one has begun.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_cancel: ContextVar[Callable[[], None] | None] = ContextVar("cancel", default=None)


@contextmanager
def signals_cancel() -> Iterator[None]:
    """Have signals cancel the current task, where it runs in the main thread.

    A flow does that a worker started, which ends it by SIGTERM when somebody cancels it. Prefect would raise
    an exception wherever the program happens to be, and call the run crashed. Where the flow has a thread of
    its own, as in `os-train`, the main thread takes the signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, token = asyncio.get_running_loop(), _cancel.set(_once(asyncio.current_task()))
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    take_signals_back()
    try:
        yield
    finally:
        _cancel.reset(token)
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def take_signals_back() -> None:
    """Have signals cancel that task again, where somebody took them since: Prefect does for each subflow."""
    cancel = _cancel.get()
    if cancel is not None:
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, cancel)


def _once(task: "asyncio.Task[Any] | None") -> Callable[[], None]:
    """What cancels a task when it is called for the first time."""
    assert task is not None, "called in a coroutine"
    cancelled = False

    def cancel() -> None:
        nonlocal cancelled
        if not cancelled:
            cancelled = True
            task.cancel()

    return cancel
