"""Prefect's server as deployments/README.md has it started: on the loopback, and behind a password."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PASSWORD = "admin:planted-password"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server of its own that asks for the password; ended by its process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    home = tmp_path_factory.mktemp("prefect")
    environment = {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }
    environment.pop("PREFECT_API_URL", None)
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and server.poll() is None:
            try:
                httpx.get(f"http://127.0.0.1:{port}/api/health")
                break
            except httpx.TransportError:
                time.sleep(0.5)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def test_without_the_password_nothing_is_told_and_nothing_done(port: int) -> None:
    api = f"http://127.0.0.1:{port}/api"
    for path in ("/flow_runs/filter", "/block_documents/filter", "/deployments/filter", "/logs/filter"):
        assert httpx.post(f"{api}{path}", json={}).status_code == 401
    assert httpx.post(f"{api}/flows/", json={"name": "mine"}).status_code == 401
    assert httpx.post(f"{api}/flows/filter", json={}, auth=("admin", "wrong")).status_code == 401


def test_with_the_password_a_client_works(port: int) -> None:
    program = """
import asyncio
from prefect import get_client
async def main():
    async with get_client() as client:
        await client.create_flow_from_name("mine")
        print([flow.name for flow in await client.read_flows()])
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_API_AUTH_STRING": PASSWORD,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "['mine']", done.stderr[-2000:]


def test_the_server_listens_on_the_loopback_alone(port: int) -> None:
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    listening = [line.split()[1] for table in tables for line in table if line.split()[3] == "0A"]
    addresses = {place.rpartition(":")[0] for place in listening if int(place.rpartition(":")[2], 16) == port}
    assert addresses == {"0100007F"}
