"""A Prefect server with a scheduler, a process worker, and a place that receives what automations send."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.schemas.automations import AutomationCore
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import TypeAdapter

ROOT = Path(__file__).parents[2]
POOL = "retraining"


class Receiver:
    """Keeps the bodies that are posted to it."""

    def __init__(self) -> None:
        self.received: list[Any] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@contextmanager
def retraining_server(folder: Path, home: Path) -> Iterator[str]:
    """The address of a server that schedules every second, and has a worker."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": api,
        "OPENSLOTH_HOME": str(home),
        "OPENSLOTH_SLOTS_DIR": str(folder / "slots"),
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "DO_NOT_TRACK": "1",
    }
    environment.pop("PREFECT_SERVER_EPHEMERAL_ENABLED", None)
    with (folder / "prefect.log").open("wb") as log:

        def start(*words: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [sys.executable, "-m", "prefect", *words],
                env=environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        server = start("server", "start", "--port", str(port), "--no-ui")
        started = [server]
        try:
            wait_for(lambda: _answers(api), 120)
            with_client(
                api, lambda client: client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
            )
            started.append(start("worker", "start", "--pool", POOL))
            yield api
        finally:
            for process in reversed(started):
                os.killpg(process.pid, signal.SIGTERM)
            for process in started:
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def deployed(api: str, parameters: Mapping[str, Any], interval_seconds: float) -> str:
    """The id of the deployment of deployments/prefect.yaml, with an interval in place of its cron."""
    entries = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    entry = next(one for one in entries if one["entrypoint"].endswith(":retrain"))

    async def ask(client: Any) -> str:
        flow_id = await client.create_flow_from_name("retrain")
        deployment_id = await client.create_deployment(
            flow_id,
            entry["name"],
            entrypoint=entry["entrypoint"],
            parameters=dict(parameters),
            work_pool_name=POOL,
            pull_steps=[
                {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}},
            ],
        )
        for given in entry["triggers"]:
            trigger = TypeAdapter(DeploymentEventTrigger).validate_python(given)
            trigger.set_deployment_id(deployment_id)
            await client.create_automation(trigger.as_automation())
        response = await client._client.post(
            f"/deployments/{deployment_id}/schedules",
            json=[{"active": True, "schedule": {"interval": interval_seconds}}],
        )
        response.raise_for_status()
        return str(deployment_id)

    deployment_id: str = with_client(api, ask)
    return deployment_id


def notified(api: str, url: str) -> None:
    """Have deployments/notify.yaml post to an address."""

    async def ask(client: Any) -> None:
        kind = await client.read_block_type_by_slug("webhook")
        schema = await client.get_most_recent_block_schema_for_block_type(kind.id)
        response = await client._client.post(
            "/block_documents/",
            json={
                "name": "retraining",
                "block_type_id": str(kind.id),
                "block_schema_id": str(schema.id),
                "data": {"method": "POST", "url": url},
            },
        )
        response.raise_for_status()
        text = (ROOT / "deployments" / "notify.yaml").read_text()
        text = text.replace("00000000-0000-0000-0000-000000000000", response.json()["id"])
        for automation in yaml.safe_load(text)["automations"]:
            await client.create_automation(AutomationCore.model_validate(automation))

    with_client(api, ask)


def with_client(api: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
    """What a coroutine answers that is given a client of the server."""

    async def asked() -> Any:
        async with get_client() as client:
            return await ask(client)

    with temporary_settings({PREFECT_API_URL: api}):
        return asyncio.run(asked())


def runs(api: str, deployment_id: str) -> list[dict[str, Any]]:
    """The runs of a deployment that have begun, in the order of their beginning."""
    answer = httpx.post(
        f"{api}/flow_runs/filter",
        json={"deployments": {"id": {"any_": [deployment_id]}}, "limit": 200},
        timeout=60,
    )
    answer.raise_for_status()
    begun = [run for run in answer.json() if run["start_time"]]
    return sorted(begun, key=lambda run: str(run["start_time"]))


def wait_for(is_there: Callable[[], Any], seconds: float) -> Any:
    """What a question answers once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := is_there()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.3)
    return found


def _answers(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
