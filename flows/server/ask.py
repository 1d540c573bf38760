"""Asks a Prefect server without importing Prefect, which takes seconds."""

import base64
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Literal

from flows.server.record import POOL

PASSWORD_VARIABLE = "PREFECT_API_AUTH_STRING"

ANSWER_SECONDS = 2.0
"""How long a server on this machine may take to answer."""

Answer = Literal["up", "password", "down"]

# A proxy of the environment is for other machines.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class FlowRun:
    """A run as a server knows it."""

    name: str
    state: str
    """Prefect's name of it: Running, Late, …"""

    id: str
    has_begun: bool


def answer_of(address: str, seconds: float = ANSWER_SECONDS) -> Answer:
    """Whether the API at an address answers us, or asks for a password that we do not have."""
    try:
        _ask(f"{address}/admin/version", None, seconds)
    except urllib.error.HTTPError as err:
        return "password" if err.code in (401, 403) else "down"
    except (OSError, ValueError):
        return "down"
    return "up"


def password_for(address: str) -> str | None:
    """The password for a server: a client's, else that of the servers that this shell starts, for those.

    No server elsewhere is given the latter.
    """
    if password := os.environ.get(PASSWORD_VARIABLE):
        return password
    is_here = address.startswith("http://127.0.0.1:")
    return os.environ.get("PREFECT_SERVER_API_AUTH_STRING") or None if is_here else None


def unfinished_runs(address: str) -> list[FlowRun]:
    """Runs of the pool that wait or go on, and other flows that go on, oldest first; no subflows.

    Raises:
        OSError, ValueError: the server does not answer.
    """
    query = {
        "flow_runs": {
            "state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING", "PAUSED"]}},
            "parent_task_run_id": {"is_null_": True},
        },
        "sort": "EXPECTED_START_TIME_ASC",
    }
    waiting = {
        "flow_runs": {
            "state": {"type": {"any_": ["SCHEDULED"]}, "name": {"any_": ["Late", "Scheduled"]}},
            "next_scheduled_start_time": {"before_": _now()},
        },
        "work_pools": {"name": {"any_": [POOL]}},
        "sort": "EXPECTED_START_TIME_ASC",
    }
    found = [
        run
        for asked in (query, waiting)
        for run in _ask(f"{address}/flow_runs/filter", asked, ANSWER_SECONDS * 2)
    ]
    return [
        FlowRun(
            str(run["name"]), str(run["state_name"]), str(run["id"]), run["state_type"] not in ("SCHEDULED",)
        )
        for run in found
    ]


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat()


def _ask(url: str, body: Any, seconds: float) -> Any:
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    elif password := password_for(url):
        headers["Authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"
    data = None if body is None else json.dumps(body).encode()
    with _opener.open(urllib.request.Request(url, data, headers), timeout=seconds) as response:
        return json.loads(response.read())
