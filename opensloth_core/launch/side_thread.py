"""Long work in a thread beside an event loop, which nobody waits for once it is not wanted any more.

`asyncio.to_thread` cannot be cancelled, and a program does not end before what it began: a run that was
interrupted while its input was hashed went on hashing, for hours where there is much.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

_unwanted: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("unwanted", default=None)


async def in_side_thread(work: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs) -> Result:
    """Do some work in a thread of its own, within this context; gives what it gives, raises what it raises.

    Where the caller is cancelled meanwhile, the thread ends at its next `stop_if_unwanted`, or with the
    program.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()
    unwanted = threading.Event()
    context = contextvars.copy_context()
    context.run(_unwanted.set, unwanted)

    def tell(done: "Future[Result]") -> None:
        if outcome.cancelled():
            return
        if err := done.exception():
            outcome.set_exception(err)
        else:
            outcome.set_result(done.result())

    def run() -> None:
        done: Future[Result] = Future()
        try:
            done.set_result(context.run(work, *args, **kwargs))
        except BaseException as err:
            done.set_exception(err)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, done)

    threading.Thread(target=run, name=getattr(work, "__name__", "side thread"), daemon=True).start()
    try:
        return await outcome
    finally:
        unwanted.set()


def stop_if_unwanted() -> None:
    """End a side thread whose caller was cancelled; does nothing elsewhere.

    Raises:
        CancelledError: it was.
    """
    unwanted = _unwanted.get()
    if unwanted is not None and unwanted.is_set():
        raise asyncio.CancelledError
