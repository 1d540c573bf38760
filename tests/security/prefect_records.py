"""All that a Prefect server has written down, as one text."""

import json
from typing import Any

import httpx

_KINDS = ("flow_runs", "task_runs", "logs", "artifacts", "deployments")
_MOST = 200


def all_records(api: str) -> str:
    """Runs with their parameters and states, logs, artifacts, deployments and events."""
    found: list[Any] = []
    for kind in _KINDS:
        for offset in range(0, 20 * _MOST, _MOST):
            answer = httpx.post(f"{api}/{kind}/filter", json={"limit": _MOST, "offset": offset})
            answer.raise_for_status()
            found += answer.json()
            if len(answer.json()) < _MOST:
                break
    for run in httpx.post(f"{api}/flow_runs/filter", json={"limit": _MOST}).json():
        found += httpx.get(f"{api}/flow_run_states/", params={"flow_run_id": run["id"]}).json()
    events = httpx.post(f"{api}/events/filter", json={"limit": 50})
    found.append(events.json())
    return json.dumps(found)
