"""The Python stacks of a process: asked for with SIGUSR1, written by faulthandler, read from its log."""

import faulthandler
import re
import signal

_THREAD = re.compile(r"^(?:Current thread|Thread) .*$", re.MULTILINE)
_FRAME = re.compile(r'^  File "(.*)", line \d+ in (.*)$', re.MULTILINE)

_COLLECTIVES = "/torch/distributed/"
_BACKWARD = "_engine_run_backward"
"""DDP adds up gradients in C++, within the backward pass."""


def write_stacks_on_request() -> None:
    """From now on, SIGUSR1 has this process write the stacks of all its threads to standard error.

    Also where a thread hangs in C, where no signal handler of Python's would run.
    """
    faulthandler.register(signal.SIGUSR1, all_threads=True)


def main_stack(log: str) -> str:
    """The main thread's part of what faulthandler wrote, which comes last; empty where there is none."""
    return _THREAD.split(log)[-1] if _THREAD.search(log) else ""


def waits_for_peers(stack: str) -> bool:
    """Whether a thread is in a collective operation, or where DDP has one."""
    return any(_COLLECTIVES in file or name == _BACKWARD for file, name in _FRAME.findall(stack))
