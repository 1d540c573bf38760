"""What a flow writes its log to may end before the flow does."""

import os
import threading

from rich.console import Console


def outlive_console() -> None:
    """Have a run go on in silence when nobody reads its output any more.

    A worker reads what its flows write. When it is killed, the next line that Prefect logs through rich finds
    the pipe broken, and rich raises SystemExit for that, wherever in the event loop: the run never ended, and
    held its lock. A command's flow has a thread of its own, and its terminal is the command's business.
    Source: rich 14, console.py, `Console.on_broken_pipe`.
    """
    if threading.current_thread() is threading.main_thread():
        Console.on_broken_pipe = _be_quiet  # type: ignore[method-assign, assignment]


def _be_quiet(console: Console) -> None:
    console.quiet = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
