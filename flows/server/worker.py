"""The worker of the server that `os-train server` keeps: registers the deployments, runs what is asked for.

Run as a program (`python -m flows.server.worker LIMIT`) with PREFECT_API_URL set; prints a line once up.
SIGTERM has it take nothing more, cancel what it runs, and wait for the ends of that, so that records and
Prefect's states agree; Prefect's own worker kills its flows.
"""

import asyncio
import os
import signal
import socket
import sys
import time

from opensloth_core.launch.gc_pause import gc_paused
from opensloth_core.launch.parent import die_with_parent

STARTING_SECONDS = 300.0
"""How long the server may take to start."""

TEARDOWN_SECONDS = 5.0


async def work(limit: int | None) -> None:
    """Register, then run what is asked for until SIGTERM."""
    with gc_paused():
        from flows.server.deployments import deployments_file, read_deployments
        from flows.server.local_worker import LocalWorker
        from flows.server.record import POOL
        from flows.server.register import register

    deployments = read_deployments(deployments_file())
    await _server_is_up(os.environ["PREFECT_API_URL"])
    for name in await register(deployments):
        _say(f"deployment {name}")
    worker = LocalWorker(
        name=f"os-train server on {socket.gethostname()}",
        work_pool_name=POOL,
        limit=limit,
        create_pool_if_not_found=False,
    )
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def until_stopped() -> None:
        while not worker.is_setup:
            await asyncio.sleep(0.05)
        os.write(1, b"up\n")
        await stop.wait()

    working, waiting = asyncio.create_task(worker.start(printer=_say)), asyncio.create_task(until_stopped())
    await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        await working
        raise SystemExit("the worker ended by itself")
    await worker.end_runs()
    working.cancel()
    await asyncio.wait({working}, timeout=TEARDOWN_SECONDS)


async def _server_is_up(address: str) -> None:
    from flows.server.ask import answer_of

    deadline = time.monotonic() + STARTING_SECONDS
    while await asyncio.to_thread(answer_of, address) == "down":
        if time.monotonic() > deadline:
            raise SystemExit(f"{address} does not answer")
        await asyncio.sleep(0.1)


def _say(*words: object, **style: object) -> None:
    print(*words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Its flows outlive it where it is killed, as they outlive the server: training goes on.
    die_with_parent()
    os.environ.pop("OPENSLOTH_PARENT_PID", None)
    asyncio.run(work(int(sys.argv[1]) or None))
    # Threads of Prefect's that talk to the server would wait for one that is being stopped.
    sys.stderr.flush()
    os._exit(0)
