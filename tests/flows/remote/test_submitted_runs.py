"""`--remote` with a real server that has no worker: what is asked for waits, and the command ends."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time

import httpx
import pytest

from flows.server.deployments import deployments_file, read_deployments
from tests.flows.conftest import Start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WANTED = ["org/rows", "--model", "org/base", "--max-seq-length", "192", "--remote"]


@pytest.fixture
def registered(prefect_api: str) -> str:
    """The server, once it has the deployment that prepares data."""
    from flows.server.register import register

    asyncio.run(register([one for one in read_deployments(deployments_file()) if "data" in one.tags]))
    return prefect_api


def states(api: str) -> list[str]:
    """Of the runs that were submitted, newest first."""
    wanted = {"deployments": {"name": {"any_": ["local-data"]}}, "sort": "EXPECTED_START_TIME_DESC"}
    return [run["state_type"] for run in httpx.post(f"{api}/flow_runs/filter", json=wanted).json()]


def test_detach_ends_once_it_has_asked_and_says_that_no_worker_is_there(
    registered: str, os_data: Start
) -> None:
    before = states(registered)
    process = os_data(*WANTED, "--detach")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"submitted to {registered}\nPage  {registered.removesuffix('/api')}/runs/flow-run/" in out
    assert "it waits in the queue: no worker of the pool opensloth is online" in err
    assert states(registered) == ["SCHEDULED", *before]


@pytest.mark.parametrize(
    ("answer", "said", "state"),
    [("y", "cancelled after", "CANCELLED"), ("n", "goes on without this command", "SCHEDULED")],
)
def test_ctrl_c_on_a_terminal_asks_whether_to_cancel_the_run(
    registered: str, home: object, answer: str, said: str, state: str
) -> None:
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli.entry", "os-data", *WANTED],
        env={**os.environ, "PREFECT_API_URL": registered},
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
    )
    os.close(end)
    try:
        shown = read_until(terminal, "online")  # it follows the run
        process.send_signal(signal.SIGINT)
        shown += read_until(terminal, "[y/N]")
        assert "Cancel the run? It goes on otherwise." in shown
        os.write(terminal, f"{answer}\n".encode())
        assert said in read_until(terminal, said)
        assert process.wait(30) == 130
        assert states(registered)[0] == state
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def read_until(terminal: int, words: str) -> str:
    """What a terminal shows, up to some words."""
    shown, deadline = "", time.monotonic() + 60
    while words not in shown:
        assert time.monotonic() < deadline, shown
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:  # nobody has its other end any more
            raise AssertionError(shown) from None
    return shown
