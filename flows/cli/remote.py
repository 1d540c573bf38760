"""`--remote`: what a command asks for is run by a server's worker, before the same person's eyes."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flows.cli.run import INTERRUPTED, Job, Terminated, signals_as_interrupts
from flows.cli.runs.words import EXIT_CODES
from flows.remote.server import Server, confine_as, find_server
from flows.remote.submit import Submitted
from flows.server.ask import PASSWORD_VARIABLE, password_for
from flows.server.record import is_kept
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import OpenSlothError, TrainingError
from opensloth_core.runs.find import AUTO
from opensloth_core.runs.report.numbers import duration


@dataclass(frozen=True)
class Asked:
    """What a server is asked for."""

    config: DatasetPrepConfig
    resume: str | None = None
    allow_drift: bool = False
    is_detached: bool = False
    """Whether the command ends once it has asked."""


def run_remote(job: Job[Any], asked: Asked) -> int:
    """Submit, follow, and return the run's exit code; what is refused is not submitted."""
    try:
        with signals_as_interrupts(signal.SIGTERM):
            return _run(job, asked)
    except OpenSlothError as err:
        return job.ended(err)
    except Terminated:
        return job.said("terminated", 128 + signal.SIGTERM)
    except KeyboardInterrupt:
        return job.said("interrupted", INTERRUPTED)


def _run(job: Job[Any], asked: Asked) -> int:
    from flows.remote.refused import refuse_missing, refuse_secrets
    from opensloth_core.runs.absolute_paths import with_absolute_paths

    server = find_server()
    refuse_secrets(asked.config)
    config = with_absolute_paths(asked.config)
    resume = asked.resume if asked.resume in (None, AUTO) else str(asked.resume).rstrip("/").split("/")[-1]
    if server.kept is not None:
        refuse_missing(config)
        confine_as(server.kept, config, resume)
        job.refuse(config)
    with _client(server) as client:
        from flows.remote.submit import has_worker, submit

        began = time.monotonic()
        run = submit(client, config, resume, asked.allow_drift)
        print(f"{run.name}: submitted to {server.address}\nPage  {run.page}", flush=True)
        if not server.is_here:
            _say(f"{job.program}: the worker of that server has to see data, model and output by these names")
        if asked.is_detached:
            if not has_worker(client):
                _say(f"{job.program}: it waits in the queue: no worker of the pool opensloth is online")
            return 0
        return _follow(server, client, run, began)


def _follow(server: Server, client: Any, run: Submitted, began: float) -> int:
    from flows.remote.follow import follow
    from flows.remote.log_stream import LogStream

    lines, is_cancelled = LogStream(client, run.id), False
    while True:
        try:
            state = follow(client, run, lines, _say, lambda: server.is_here and not is_kept())
            break
        except Terminated:
            _say(f"{run.name}: goes on without this command; {_again(run)}")
            raise
        except KeyboardInterrupt:
            if is_cancelled or not _is_to_be_cancelled():
                _say(f"{run.name}: goes on without this command; {_again(run)}")
                return INTERRUPTED
            is_cancelled = True
            _cancel(client, run)
    word = {"COMPLETED": "completed", "CANCELLED": "cancelled", "CRASHED": "crashed"}.get(
        state.type.value, "failed"
    )
    why = " ".join(str(state.message or "").split()) if word in ("failed", "crashed") else ""
    took = duration(time.monotonic() - began)
    print(f"{run.name}: {word} after {took}{f': {why}' if why else ''}{_record(run)}")
    return EXIT_CODES[word]


def _is_to_be_cancelled() -> bool:
    """Whether a person says so; without one, an interrupted command leaves its run alone."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write("\nCancel the run? It goes on otherwise. [y/N] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return False


def _cancel(client: Any, run: Submitted) -> None:
    import httpx
    from prefect.states import Cancelling

    try:
        client.set_flow_run_state(run.id, Cancelling())
    except httpx.HTTPError as err:
        raise TrainingError(
            f"the server does not answer ({type(err).__name__}), so the run is not cancelled; {_again(run)}"
        ) from err
    _say("cancelling; Ctrl-C again does not wait for the end")


def _again(run: Submitted) -> str:
    return f"to follow it again: {run.page}, or os-train runs logs last -f on the worker's machine"


def _record(run: Submitted) -> str:
    """Where the run's own record is, if it is in this home."""
    from itertools import islice

    from opensloth_core.runs.history import read_outline
    from opensloth_core.runs.listing import newest_first

    for one in islice(newest_first(), 10):
        if any(event.get("flow_run_id") == str(run.id) for event in read_outline(one).all("flow")):
            return f"; os-train runs show {one.path.name}"
    return ""


@contextmanager
def _client(server: Server) -> Iterator[Any]:
    from flows.session import set_defaults

    set_defaults()
    if password := password_for(server.address):
        os.environ[PASSWORD_VARIABLE] = password
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    # Whoever follows asks again soon anyway; Prefect's client would wait for a minute first.
    changed: Any = {PREFECT_API_URL: server.address, PREFECT_CLIENT_MAX_RETRIES: 1}
    with temporary_settings(changed), get_client(sync_client=True) as client:
        yield client


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
