"""Follows a run that a server was asked for, to its end."""

import time
from collections.abc import Callable
from typing import Any

from flows.remote.log_stream import LogStream
from flows.remote.submit import Submitted, has_worker
from opensloth_core.errors import TrainingError

POLL_SECONDS = 0.5
QUEUE_SECONDS = 6.0
"""After so long in the queue a run is said to wait."""

SILENCE_SECONDS = 120.0
"""So long a server may not answer before nobody waits for it any more."""

LAST_LINES_SECONDS = 3.0
"""Lines of a flow's process come as late as that after its end."""


def follow(
    client: Any, run: Submitted, say: Callable[[str], None], is_gone: Callable[[], bool] = lambda: False
) -> Any:
    """Say what a run logs until it has ended; gives its last state.

    Args:
        is_gone: whether the server is known to have been stopped.

    Raises:
        TrainingError: the server does not answer any more, or the run was deleted.
    """
    import httpx
    from prefect.exceptions import ObjectNotFound

    lines, queue = LogStream(client, run.id), _Queue(client, say)
    answered, ended_at, state = time.monotonic(), None, None
    while True:
        try:
            state = client.read_flow_run(run.id).state
            queue.look(state)
            for line in lines.new_lines():
                say(line)
            answered = time.monotonic()
        except ObjectNotFound as err:
            raise TrainingError(f"{run.name}: somebody deleted this run from the server") from err
        except httpx.HTTPError as err:
            if state is not None and state.is_final():  # it was stopped meanwhile
                return state
            if is_gone() or time.monotonic() - answered > SILENCE_SECONDS:
                raise TrainingError(
                    f"the server does not answer any more ({type(err).__name__}), and the run may go on; "
                    f"once it answers: {run.page}"
                ) from err
        else:
            if state is not None and state.is_final():
                ended_at = ended_at or time.monotonic()
                if time.monotonic() - ended_at > LAST_LINES_SECONDS:
                    for line in lines.new_lines(is_last=True):
                        say(line)
                    return state
        time.sleep(POLL_SECONDS)


class _Queue:
    """Says once that a run waits, and why."""

    def __init__(self, client: Any, say: Callable[[str], None]) -> None:
        self._client, self._say = client, say
        self._began = time.monotonic()
        self._is_said = False

    def look(self, state: Any) -> None:
        if self._is_said or state is None or not state.is_scheduled():
            return
        if not has_worker(self._client):
            self._say(
                "the run waits in the queue: no worker of the pool opensloth is online; "
                "os-train server start brings one, or prefect worker start --pool opensloth"
            )
        elif time.monotonic() - self._began > QUEUE_SECONDS:
            self._say("the run waits in the queue until the worker takes it")
        else:
            return
        self._is_said = True
