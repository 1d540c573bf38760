"""Follows a run that a server was asked for, to its end."""

import time
from collections.abc import Callable
from typing import Any

from flows.remote.log_stream import LogStream
from flows.remote.submit import Submitted, has_worker, others_going_on
from opensloth_core.errors import TrainingError

POLL_SECONDS = 0.5
QUEUE_SECONDS = 6.0
"""After so long in the queue a run is said to wait."""

NAMED = 3
"""So many of the runs that it waits for are named."""

SILENCE_SECONDS = 120.0
"""So long a server may not answer before nobody waits for it any more."""

LAST_LINES_SECONDS = 3.0
"""Lines of a flow's process come as late as that after its end."""


def follow(
    client: Any,
    run: Submitted,
    lines: LogStream,
    say: Callable[[str], None],
    is_gone: Callable[[], bool] = lambda: False,
) -> Any:
    """Say what a run logs until it has ended; gives its last state.

    Args:
        lines: of the run; those that it gave already are not said again.
        is_gone: whether the server is known to have been stopped.

    Raises:
        TrainingError: the server does not answer any more, or the run was deleted.
    """
    import httpx
    from prefect.exceptions import ObjectNotFound

    queue = _Queue(client, run, say)
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
            if is_gone():
                raise TrainingError(f"the server is down; {_without_server(run, state)}") from err
            if time.monotonic() - answered > SILENCE_SECONDS:
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


def _without_server(run: Submitted, state: Any) -> str:
    if state is not None and state.is_scheduled():
        return "the run waits in its queue and begins with the next os-train server start"
    if state is not None and state.is_cancelling():
        return "it was cancelling the run: os-train runs show last"
    return (
        f"the run may go on: os-train runs logs last -f, or {run.page} after the next os-train server start"
    )


class _Queue:
    """Says that a run waits, and for what: once, and once more should the worker go away meanwhile."""

    def __init__(self, client: Any, run: Submitted, say: Callable[[str], None]) -> None:
        self._client, self._run, self._say = client, run, say
        self._began = time.monotonic()
        self._said: set[bool] = set()

    def look(self, state: Any) -> None:
        if state is None or not state.is_scheduled():
            return
        is_worker = has_worker(self._client)
        if is_worker in self._said or (is_worker and time.monotonic() - self._began <= QUEUE_SECONDS):
            return
        self._said.add(is_worker)
        if is_worker:
            others = ", ".join(others_going_on(self._client, self._run)[:NAMED])
            self._say(
                "the run waits in the queue until the worker takes it"
                + (f"; going on now: {others}" if others else "")
            )
        else:
            self._say(
                "the run waits in the queue: no worker of the pool opensloth is online; "
                "os-train server start brings one, or prefect worker start --pool opensloth"
            )
