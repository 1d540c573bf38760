"""A run's own Prefect server outlives the signals of the run, and never the run."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

RUN = """
import asyncio, os, sys
from pathlib import Path
from flows.own_server import own_server
from opensloth_core.runs.events import EventLog

async def main():
    async with own_server(EventLog(Path(sys.argv[1]))) as address:
        print(address, flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""


def answers(address: str) -> bool:
    with urllib.request.urlopen(f"{address}/health", timeout=10) as answer:
        return bool(answer.status == 200)


def server_of(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_it_takes_no_signals_and_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "events.jsonl")],
        env={**env, "PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "100"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    address = run.stdout.readline().strip()
    server = server_of(run.pid)
    assert os.getsid(server) == server  # so that Ctrl-C of a terminal does not reach it
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(server, number)
    time.sleep(0.5)
    assert answers(address)
    run.kill()
    run.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{server}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{server}").exists()
