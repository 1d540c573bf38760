"""How Prefect is set up when a flow is started from the command line.

Imported before Prefect, which reads its settings from the environment when it is imported. A setting
the user made stays as it is.
"""

import asyncio
import os
import threading
from concurrent.futures import Future
from pathlib import Path

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory

DEFAULTS = {
    # A cold ephemeral server took 22-27 s on two cores, beyond Prefect's own limit of 20.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # What a person sees comes from the run's event log; Prefect's log lines go to its server only.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


def run_flow(config: OpenSlothConfig, run_dir: Path) -> None:
    """Run the fine-tuning flow here, on the configured server or an ephemeral one.

    The flow has a thread of its own, so that Prefect, which turns SIGTERM into a crash, leaves the
    signals to this one: whatever is raised here meanwhile cancels the flow, which ends its ranks.

    Raises:
        OpenSlothError: the run failed.
        KeyboardInterrupt: the run was interrupted, and has ended.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    flow = _FlowThread(config, run_dir)
    flow.start()
    try:
        flow.outcome.result()
    except KeyboardInterrupt:
        flow.cancel()
        flow.join()
        raise


class _FlowThread(threading.Thread):
    """Runs the flow in an event loop of its own."""

    def __init__(self, config: OpenSlothConfig, run_dir: Path) -> None:
        # A second interrupt does not wait for it; the kernel ends the ranks then.
        super().__init__(name="flow", daemon=True)
        self.outcome: Future[None] = Future()
        self._config = config
        self._run_dir = run_dir
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._flow())

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

    async def _flow(self) -> None:
        events = RunDirectory(self._run_dir).events
        events.message("starting Prefect")
        from prefect.settings import PREFECT_API_URL

        from flows.finetune import finetune_sft

        if not PREFECT_API_URL.value():
            events.message(
                "no Prefect server is configured, so this run has one of its own while it lasts; "
                "to see runs in a web page: prefect server start, and set PREFECT_API_URL to what it prints"
            )
        await finetune_sft(self._config, self._run_dir)
