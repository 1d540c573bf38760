"""The Prefect server that `os-train server start` keeps for this home, as its record tells.

The record and its lock are written by `flows/server/record.py`, which says more of them.
"""

import json
from dataclasses import dataclass

from opensloth_core.store.file_lock import is_held
from opensloth_core.store.home import home_dir


@dataclass(frozen=True)
class KeptServer:
    """A server whose keeper lives; whether it answers is another matter."""

    address: str
    """Of its API."""

    state: str
    """`starting`, `up` or `stopping`."""


def kept_server() -> KeptServer | None:
    """The server; None where nobody keeps one."""
    folder = home_dir() / "server"
    try:
        if not is_held(folder / "server.lock"):
            return None
        record = json.loads((folder / "server.json").read_bytes())
        return KeptServer(f"http://127.0.0.1:{int(record['port'])}/api", str(record["state"]))
    except (OSError, ValueError, KeyError, TypeError):  # its keeper just begins, or just ended
        return None
