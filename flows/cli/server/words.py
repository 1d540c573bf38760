"""What the commands about the server say alike."""

import os
from pathlib import Path

from flows.server.record import ServerRecord, server_dir
from opensloth_core.runs.report.numbers import counted
from opensloth_core.store.home import home_dir

DOWN = 3
"""Exit code of `status` where nothing is up, as service scripts have it."""

NOT_UP = "no server is up; start one: os-train server start"


def facts(record: ServerRecord) -> dict[str, str]:
    """Where it is and what its runs may do, by label."""
    return {
        "Page": record.page,
        "API": f"{record.address} (os-train finds it; for prefect: export PREFECT_API_URL={record.address})",
        "Runs read": ", ".join([*_opened(record.roots), _short(home_dir() / "data"), "the hub"]),
        "and write": ", ".join([*_opened(record.output_roots), _short(home_dir() / "outputs")]),
        **({"At once": counted(record.limit, "run")} if record.limit else {}),
        "Logs": _short(server_dir()),
        "Stop": "os-train server stop",
    }


def print_facts(entries: dict[str, str]) -> None:
    """Two columns."""
    for label, text in entries.items():
        print(f"{label:<10} {text}")


def other_server(record: ServerRecord) -> str | None:
    """A word on a configured server that would be used instead of the kept one."""
    from opensloth_core.doctor.server import server_url
    from opensloth_core.runs.report.redact import redacted

    url = server_url()
    if url is None or url == record.address:
        return None
    return (
        f"PREFECT_API_URL is set to {redacted(url)}, which os-train uses instead; unset it to use this server"
    )


def _opened(roots: str) -> list[str]:
    return [roots.replace(":/", ", /").replace(", //", "://")] if roots else []


def _short(path: Path) -> str:
    home = os.environ.get("HOME", "")
    return str(path).replace(home, "~", 1) if home and path.is_relative_to(home) else str(path)
