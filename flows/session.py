"""How Prefect is set up when a flow is started from the command line.

Imported before Prefect, which reads its settings from the environment when it is imported. A setting
the user made stays as it is.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path

from flows.own_server import OwnServer, own_server
from flows.server.ask import PASSWORD_VARIABLE, answer_of, password_for
from flows.server.record import read_record
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.doctor.server import examine_server, server_url
from opensloth_core.errors import TrainingError
from opensloth_core.launch.gc_pause import gc_paused
from opensloth_core.runs.abandoned import Ended, how_ended
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import EventLog

Flow = Callable[[], Awaitable[object]]

DEFAULTS = {
    # A cold server took 22-27 s on two cores, beyond Prefect's own limit of 20; four at once on busy ones
    # took 125.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    # Of a server that is gone, one line of ours says so.
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    # What a person sees comes from the run's event log; Prefect's log lines go to its server only.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


OWN_ADDRESS = "http://127.0.0.1:0/api"
"""Of a run's own server, whose port is not known before it is up."""

_REFUSALS = ("Failed to reach API", "Found incompatible versions")
"""How Prefect's own errors begin, plain RuntimeErrors, where its client cannot use a server."""


def run_finetune(config: OpenSlothConfig, run_dir: Path) -> None:
    """Run the flow of the configuration's method; see `_run`."""

    def load() -> Flow:
        from flows.finetune import FLOWS

        return lambda: FLOWS[config.method](config, run_dir=run_dir)

    _run(load, run_dir)


def run_prepare_data(config: DatasetPrepConfig, run_dir: Path) -> None:
    """Run the flow that prepares data; see `_run`."""

    def load() -> Flow:
        from flows.prepare import prepare_data

        return lambda: prepare_data(config, run_dir)

    _run(load, run_dir)


def set_defaults() -> None:
    """Put our settings for Prefect into the environment; call it before Prefect is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Prefect prints what it cannot log to its server, as the standard library does what it cannot log at all.
    logging.raiseExceptions = False


def _run(load: Callable[[], Flow], run_dir: Path) -> None:
    """Run a flow here, on a server that is up or on an ephemeral one.

    The flow has a thread of its own, so that Prefect, which turns SIGTERM into a crash, leaves the
    signals to this one: whatever is raised here meanwhile cancels the flow, which ends its ranks.

    Raises:
        OpenSlothError: the run failed.
        KeyboardInterrupt: the run was interrupted, and has ended.
    """
    set_defaults()
    thread = _FlowThread(load, run_dir)
    thread.start()
    try:
        thread.outcome.result()
    except KeyboardInterrupt:
        RunDirectory(run_dir).events.message("stopping")
        thread.cancel()
        thread.join()
        raise


class _FlowThread(threading.Thread):
    """Runs a flow in an event loop of its own."""

    def __init__(self, load: Callable[[], Flow], run_dir: Path) -> None:
        # A second interrupt does not wait for it; the kernel ends the ranks then.
        super().__init__(name="flow", daemon=True)
        self.outcome: Future[None] = Future()
        self._load = load
        self._run_dir = run_dir
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._on_a_server())

    def run(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
        except BaseException as err:
            self.outcome.set_exception(err)
        else:
            self.outcome.set_result(None)

    def cancel(self) -> None:
        """Ask the flow to end; safe from any thread."""
        self._loop.call_soon_threadsafe(self._task.cancel)

    async def _on_a_server(self) -> None:
        run = RunDirectory(self._run_dir)
        events = run.events
        address, server = server_url() or _kept_server(events), None
        if address is None:
            # It starts while Prefect is imported here.
            server = OwnServer()
            server.launch()
        if password := password_for(address or OWN_ADDRESS):
            os.environ[PASSWORD_VARIABLE] = password
        events.message("starting Prefect")
        with gc_paused():
            from prefect.settings import PREFECT_API_URL, temporary_settings

            flow = self._load()
        # Prefect may be configured in more places than were looked at.
        address = PREFECT_API_URL.value() or address
        if address is not None:
            if server is not None:
                server.stop()
            with temporary_settings({PREFECT_API_URL: address}):
                await _as_recorded(flow, run, address)
            return
        events.message(
            "no Prefect server is up, so this run has one of its own while it lasts; "
            "to keep one, with a web page of all runs: os-train server start"
        )
        from tasks.server_gone import expect_it_back

        expect_it_back()
        async with own_server(events, server) as address:
            with temporary_settings({PREFECT_API_URL: address}):
                await _as_recorded(flow, run, address)


async def _as_recorded(flow: Flow, run: RunDirectory, address: str) -> None:
    """Run the flow. How it ended is the record's to say where Prefect's server does not answer."""
    import httpx

    from tasks.server_gone import ServerGone, unless_gone

    began = time.time()

    def end_of_this() -> Ended | None:
        end = how_ended(run)
        return end if end is not None and end.time >= began else None

    running = asyncio.ensure_future(flow())
    try:
        try:
            await unless_gone(running, lambda: end_of_this() is not None)
        except asyncio.CancelledError:
            running.cancel()
            await unless_gone(running, lambda: end_of_this() is not None)
            raise
    except (httpx.HTTPError, RuntimeError, ServerGone) as err:
        if isinstance(err, RuntimeError) and not str(err).startswith(_REFUSALS):
            raise
        end = end_of_this()
        why = "" if isinstance(err, ServerGone) else f" ({type(err).__name__}: {err})"
        reason = f"Prefect's server {address} does not answer{why}"
        if end is None or end.state == "crashed":
            finding = await asyncio.to_thread(examine_server, address)
            if finding.mark == "error":
                message = f"Prefect's server {finding.text}; {finding.remedy}, and run again"
            else:
                message = f"{reason}; run again, or unset PREFECT_API_URL"
            run.events.state("failed", message)
            raise TrainingError(message) from err
        if end.state != "completed":
            raise TrainingError(end.message or f"the run was {end.state}") from err
        run.events.message(
            f"{reason}: its page shows the end of this run once another one has started", "warning"
        )


def _kept_server(events: EventLog) -> str | None:
    """Address of the server that `os-train server` keeps; None where there is none to be used."""
    record = read_record()
    if record is None or record.state == "stopping":
        return None
    answer = answer_of(record.address)
    if answer == "up":
        return record.address
    why = {
        "password": "asks for a password (set PREFECT_API_AUTH_STRING)",
        "down": "does not answer (os-train server status)"
        if record.state == "up"
        else "is just being started",
    }[answer]
    events.message(f"the Prefect server {record.address} {why}; going on without it", "warning")
    return None
