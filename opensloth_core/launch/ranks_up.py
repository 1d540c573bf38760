"""Waiting for the processes of the ranks, so that what only shows things does not delay their start."""

import asyncio

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import EventReader

POLL_SECONDS = 0.1


async def ranks_up(run: RunDirectory) -> None:
    """Wait until every rank of a run has said that its process started; at once where all did before."""
    reader = EventReader(run.events_path)
    missing = set(range(run.launch().world_size))
    while True:
        for event in reader.new_events():
            if event["kind"] == "mark" and event["name"] == "started":
                missing.discard(event["rank"])
        if not missing:
            return
        await asyncio.sleep(POLL_SECONDS)
