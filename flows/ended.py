"""How a flow that was interrupted ends."""

import asyncio
from typing import Any, cast

from prefect import State
from prefect.states import Cancelled


def cancelled() -> State:
    """The state of a flow whose task was cancelled.

    Prefect would call the run crashed, and our record says cancelled.
    """
    cast("asyncio.Task[Any]", asyncio.current_task()).uncancel()
    return Cancelled(message="The run was interrupted.")
