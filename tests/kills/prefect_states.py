"""What a Prefect server says of a run's flow runs, read from its database: the server may be dead."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from opensloth_core.runs.events import read_events


def states_in_prefect(prefect_home: Path, run_dir: Path) -> dict[str, str]:
    """State of each flow run of a run, by name: those that drove it (`flow 1`, …) and its ranks'."""
    drove = [e["flow_run_id"] for e in read_events(run_dir / "events.jsonl") if e["kind"] == "flow"]
    with closing(sqlite3.connect(f"file:{prefect_home / 'prefect.db'}?mode=ro", uri=True)) as database:
        rows = database.execute("select id, name, state_type, parameters from flow_run order by created")
        found = {}
        for row_id, name, state, parameters in rows.fetchall():
            plain = str(row_id).replace("-", "")
            if plain in {one.replace("-", "") for one in drove}:
                order = [one.replace("-", "") for one in drove].index(plain)
                found[f"flow {order + 1}"] = str(state)
            elif json.loads(parameters or "{}").get("run_dir") == str(run_dir):
                found[f"{name} ({plain[:4]})"] = str(state)
    return found
