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
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from opensloth_core.errors import TrainingError
from opensloth_core.runs.events import EventLog
from opensloth_core.store.file_lock import lock_file

STOP_SECONDS = 5.0
"""How long the server may take to end once its standard input has."""

MOST_RESTARTS = 3
POLL_SECONDS = 0.2


@asynccontextmanager
async def own_server(events: EventLog) -> AsyncIterator[str]:
    """Gives the address of the API of a new server, which is started again should it die.

    It is left running for what Prefect still sends when this process exits, and ends after that.

    Raises:
        TrainingError: it does not start.
    """
    server = _OwnServer()
    atexit.register(server.stop)
    await server.start()
    keeper = asyncio.create_task(_keep_up(server, events))
    try:
        yield f"http://127.0.0.1:{server.port}/api"
    finally:
        keeper.cancel()


async def _keep_up(server: "_OwnServer", events: EventLog) -> None:
    for _ in range(MOST_RESTARTS):
        while server.is_up():
            await asyncio.sleep(POLL_SECONDS)
        events.message("the run's own Prefect server ended; starting it again", "warning")
        try:
            await server.start()
        except TrainingError as err:
            events.message(f"{err}; the run goes on without", "warning")
            return


class _OwnServer:
    """The process of the server."""

    port = 0
    """Any that is free, until it was started; the same one ever after."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start the server and wait until it answers."""
        from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, get_current_settings

        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "flows.own_server", str(self.port)],
            env={
                **os.environ,
                **get_current_settings().to_environment_variables(exclude_unset=True),
                # As Prefect starts the servers that come and go: no web page, and fewer services.
                "PREFECT_UI_ENABLED": "0",
                "PREFECT__SERVER_EPHEMERAL": "1",
                "PREFECT__SERVER_FINAL": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdout is not None
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
                "one up with prefect server start and set PREFECT_API_URL"
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
            with _database_to_itself():
                await super().startup(sockets)
            if self.started:
                print(listener.getsockname()[1], file=answers, flush=True)

    server = Server(
        uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    )
    threading.Thread(target=end_with_input, name="end with input", daemon=True).start()
    listener = socket.create_server(("127.0.0.1", port))
    server.run(sockets=[listener])


@contextmanager
def _database_to_itself() -> Iterator[None]:
    """Have servers that start at the same time do so one after the other.

    Each brings their database up to date, without asking whether another does just that: of four that made a
    new one together, up to three ended with "duplicate column" or the like.
    """
    from prefect.settings import PREFECT_HOME

    home = PREFECT_HOME.value()
    home.mkdir(parents=True, exist_ok=True)
    descriptor = lock_file(home / "opensloth-start.lock", wait=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
