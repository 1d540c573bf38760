"""Whether Prefect's server is gone, so that a run waits for it no longer than it must.

Prefect's client tries again for a minute, each time it has something to tell.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from prefect.settings import PREFECT_API_URL

from opensloth_core.doctor.server import examine_server
from tasks.show import SHOW_SECONDS, leave_alone

LOOKS = 2
"""How often it is asked; one that is busy may let one question wait too long."""


class ServerGone(ConnectionError):
    """Prefect's server did not answer, and was not waited for any longer."""


class _Known:
    """What this process knows of its server."""

    comes_back = False
    was_gone = False


def expect_it_back() -> None:
    """Have it waited for, since whoever started this run starts it again."""
    _Known.comes_back = True


def was_gone() -> bool:
    """Whether it was given up; whatever Prefect still has for it would be tried for minutes."""
    return _Known.was_gone


async def unless_gone(work: "asyncio.Future[Any]", only_tells: Callable[[], bool]) -> Any:
    """What some work gives; where it only waits for a server that is gone, it is left to itself.

    Args:
        only_tells: whether all that is left of the work is for the server.

    Raises:
        ServerGone: it was left.
    """
    while True:
        await asyncio.wait({work}, timeout=SHOW_SECONDS)
        if work.done():
            return await work
        # Asked again after the server was, since the work went on meanwhile.
        if only_tells() and await _is_gone() and only_tells() and not work.done():
            _Known.was_gone = True
            leave_alone()
            work.add_done_callback(lambda left: left.cancelled() or left.exception())
            work.cancel()
            raise ServerGone("Prefect's server does not answer")


async def _is_gone() -> bool:
    address = PREFECT_API_URL.value()
    if _Known.comes_back or address is None:
        return False
    for _ in range(LOOKS):
        if (await asyncio.to_thread(examine_server, address)).mark != "error":
            return False
    return True
