"""A Prefect server of a run's own: it lasts as long as the process that started it, and no longer.

Signals that end a run often go to all its processes: Ctrl-C of a terminal, a service manager's or a batch
system's SIGTERM. The server has to outlive those, since the flow tells it how it ended. So it takes no
signals; it ends when its standard input does, which the kernel closes however the other end dies.

Run as a program (`python -m flows.own_server PORT`), this is the server.
"""

import asyncio
import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flows.server_database import database_to_itself, lock_when_transactions_begin
from opensloth_core.errors import TrainingError
from opensloth_core.launch.gc_pause import gc_paused
from opensloth_core.runs.events import EventLog

STOP_SECONDS = 5.0
"""How long the server may take to end once its standard input has."""

MOST_RESTARTS = 3
POLL_SECONDS = 0.2


@asynccontextmanager
async def own_server(events: EventLog, server: "OwnServer | None" = None) -> AsyncIterator[str]:
    """Gives the address of the API of a new server, which is started again should it die.

    It is left running for what Prefect still sends when this process exits, and ends after that.

    Args:
        server: one that was launched already.

    Raises:
        TrainingError: it does not start.
    """
    if server is None:
        server = OwnServer()
        server.launch()
    await server.wait_until_up()
    keeper = asyncio.create_task(_keep_up(server, events))
    try:
        yield f"http://127.0.0.1:{server.port}/api"
    finally:
        keeper.cancel()


async def _keep_up(server: "OwnServer", events: EventLog) -> None:
    for _ in range(MOST_RESTARTS):
        while server.is_up():
            await asyncio.sleep(POLL_SECONDS)
        events.message("the run's own Prefect server ended; starting it again", "warning")
        try:
            server.launch()
            await server.wait_until_up()
        except TrainingError as err:
            events.message(f"{err}; the run goes on without", "warning")
            return


class OwnServer:
    """The process of the server."""

    port = 0
    """Any that is free, until it was started; the same one ever after."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.stop)

    def launch(self) -> None:
        """Start the process. It needs seconds until it answers, in which this one may import Prefect."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flows.own_server", str(self.port)],
            env={
                **os.environ,
                # As Prefect starts the servers that come and go: no web page, and fewer services.
                "PREFECT_UI_ENABLED": "0",
                "PREFECT__SERVER_EPHEMERAL": "1",
                "PREFECT__SERVER_FINAL": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    async def wait_until_up(self) -> None:
        """Wait until the server answers.

        Raises:
            TrainingError: it does not start.
        """
        from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS

        process = self._process
        assert process is not None and process.stdout is not None, "launched before"
        seconds = PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
        try:
            line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), seconds)
        except TimeoutError:
            self.stop()
            raise TrainingError(
                f"Prefect's server did not start within {seconds} s; free the machine, or raise "
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
            ) from None
        except asyncio.CancelledError:
            self.stop()  # ends the wait for its line too
            raise
        if not line:
            raise TrainingError(
                f"Prefect's server did not start: it ended with code {process.wait()}; run again, or keep "
                "one up with os-train server start"
            )
        self.port = int(line)

    def is_up(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the server and wait for its end."""
        process = self._process
        if process is None or process.stdin is None or process.stdin.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def serve(port: int) -> None:
    """Be the server, on a port of this machine, until standard input ends; prints it once it answers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nobody reads what libraries print

    def end_with_input() -> None:
        while os.read(0, 1024):
            pass
        server.should_exit = True
        threading.Event().wait(STOP_SECONDS - 1)
        os._exit(0)

    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            with database_to_itself(), gc_paused():
                await super().startup(sockets)
            if self.started:
                print(listener.getsockname()[1], file=answers, flush=True)

    config = uvicorn.Config(
        "prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on"
    )
    server = Server(config)
    threading.Thread(target=end_with_input, name="end with input", daemon=True).start()
    with gc_paused():
        lock_when_transactions_begin()
        config.load()
    listener = socket.create_server(("127.0.0.1", port))
    server.run(sockets=[listener])


if __name__ == "__main__":
    serve(int(sys.argv[1]))
