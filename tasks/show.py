"""Artifacts of Prefect's page. How a run ends is never decided by who shows it: the server may be gone."""

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Self
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging import get_run_logger

SHOW_SECONDS = 5.0
"""How long a run may wait for something to be shown."""

LEFT_ALONE_SECONDS = 30.0
_left_alone_until = 0.0
"""On the monotonic clock; the server is that of the whole process."""

Cells = Sequence[Mapping[str, object]]
"""Rows of a table, by the titles of its columns."""


async def show_in_time(what: str, work: Coroutine[Any, Any, object], seconds: float = SHOW_SECONDS) -> None:
    """Do some work that shows something; where it fails or takes long, the run goes on without.

    A server that did not answer in time is left alone for a while, so that a run's end does not wait for it
    once for every artifact.
    """
    if is_left_alone():
        work.close()
        return
    showing = asyncio.create_task(work)
    try:
        await asyncio.wait({showing}, timeout=seconds)
    finally:
        showing.cancel()
    if not showing.done():
        leave_alone()
        get_run_logger().warning("%s cannot be shown within %g s", what, seconds)
    elif error := showing.exception():
        get_run_logger().warning("%s cannot be shown: %s: %s", what, type(error).__name__, error)


def leave_alone() -> None:
    """Ask nothing of the server for a while, which did not answer in time."""
    global _left_alone_until
    _left_alone_until = time.monotonic() + LEFT_ALONE_SECONDS


def is_left_alone() -> bool:
    """Whether the server did not answer a short while ago."""
    return time.monotonic() < _left_alone_until


class Shown:
    """An artifact that is made once, and then updated.

    Artifacts of one key are versions of one another in the page. Prefect's own helpers know only the run they
    are called in, and a cached task is not called.

    Args:
        key: small letters, digits and hyphens.
        description: Markdown that the page shows above it.
        flow_run_id: the run it belongs to.
    """

    def __init__(
        self, key: str, description: str, flow_run_id: UUID | None, task_run_id: UUID | None = None
    ) -> None:
        self._key = key
        self._description = description
        self._runs = {"flow_run_id": flow_run_id, "task_run_id": task_run_id}
        self._id: UUID | None = None

    @classmethod
    def here(cls, key: str, description: str) -> Self:
        """An artifact of the flow run and task run that this is called in."""
        flow, task = FlowRunContext.get(), TaskRunContext.get()
        flow_run = flow.flow_run if flow else None
        return cls(key, description, flow_run.id if flow_run else None, task.task_run.id if task else None)

    async def markdown(self, text: str) -> None:
        await self._put("markdown", text)

    async def table(self, rows: Cells) -> None:
        await self._put("table", json.dumps(rows))

    async def progress(self, percent: float) -> None:
        await self._put("progress", percent)

    async def _put(self, kind: str, data: Any) -> None:
        async with get_client() as client:
            if self._id is not None:
                await client.update_artifact(self._id, ArtifactUpdate(data=data))
                return
            made = await client.create_artifact(
                ArtifactCreate(
                    key=self._key, type=kind, description=self._description, data=data, **self._runs
                )
            )
            self._id = made.id
