"""Training goes on by itself after a crash that is nobody's mistake."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.process import ProcessFailed
from opensloth_core.launch.watchdog import Stalled
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.resume import start_point
from opensloth_core.runs.stages import enter_stage

PAUSE_SECONDS = 1.0
"""For the devices to let go of what killed processes held."""

LOST = (
    "NCCL",
    "DistBackendError",
    "DistNetworkError",
    "Connection closed by peer",
    "Connection reset by peer",
    "CUDA error",
    "cudaError",
)
"""How a rank that lost a device or a peer ends, as its last lines say."""

OF_THE_PROGRAM = ("device-side assert", "out of memory", "illegal memory access", "invalid argument")
"""What would happen again, though the device reports it."""


async def with_restarts(run: RunDirectory, attempt: Callable[[], Awaitable[None]]) -> None:
    """Train, and train on from the last checkpoint as often as the run's `max_restarts` allows.

    Args:
        attempt: runs all ranks to their end, as `launch.json` says; none of them is left when it fails.

    Raises:
        OpenSlothError: the failure of the last attempt, or one that another attempt would only repeat.
    """
    most = run.config().max_restarts
    for number in range(most + 1):
        try:
            await attempt()
            return
        except OpenSlothError as err:
            if number == most or not is_accident(err):
                raise
            reason = str(err).splitlines()[0].rstrip(";:")
        run.events.message(f"{reason}. Restart {number + 1} of at most {most}", "warning")
        await asyncio.sleep(PAUSE_SECONDS)
        run.write_launch(replace(run.launch(), checkpoint=start_point(run)), with_data=True)
        if run.is_prepared():
            enter_stage(run, "warming")


def is_accident(err: OpenSlothError) -> bool:
    """Whether the same work may well succeed at the next attempt."""
    if isinstance(err, Stalled):
        return True
    if not isinstance(err, ProcessFailed) or err.explained:
        return False
    text = str(err)
    return err.by_signal or (any(t in text for t in LOST) and not any(t in text for t in OF_THE_PROGRAM))
