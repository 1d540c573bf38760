"""A run's own Prefect server outlives the signals of the run, and never the run."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import httpx
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


async def answers_to_many_writers(address: str) -> Counter[int]:
    """Codes that a server answers with to clients that write at the same time, none of which asks twice."""
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        flow = (await client.post("/flows/", json={"name": "many"})).json()["id"]
        flow_run = (await client.post("/flow_runs/", json={"flow_id": flow})).json()["id"]
        tasks = [
            {"flow_run_id": flow_run, "task_key": "write", "dynamic_key": str(number)} for number in range(40)
        ]
        artifacts = [{"key": "written", "type": "markdown", "data": str(number)} for number in range(40)]
        answers = await asyncio.gather(
            *(client.post("/task_runs/", json=task) for task in tasks),
            *(client.post("/artifacts/", json=artifact) for artifact in artifacts),
        )
    return Counter(answer.status_code for answer in answers)


def test_it_takes_many_writers_and_no_signals_and_ends_with_the_process_that_started_it(
    tmp_path: Path,
) -> None:
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
    # A server as Prefect starts it refuses about half: "database is locked".
    assert asyncio.run(answers_to_many_writers(address)) == {201: 80}
    run.kill()
    run.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{server}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{server}").exists()
