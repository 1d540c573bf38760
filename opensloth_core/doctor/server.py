"""Whether Prefect's server answers, where one is configured."""

import base64
import os
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from opensloth_core.doctor.finding import Finding, error, note, ok
from opensloth_core.runs.report.redact import redacted

NAME = "server"
ANSWER_SECONDS = 4.0

_KEEP_ONE = "to keep one that runs share, with a page: os-train server start"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    time: float | None
    """Unix seconds by the server's clock."""


def check_server() -> Finding:
    """The server's own page of health."""
    url = server_url()
    if url is None:
        return note(NAME, f"none is configured: a run starts one of its own, in 7-30 s; {_KEEP_ONE}")
    return examine_server(url)


def examine_server(url: str) -> Finding:
    """Whether the API at an address answers, and answers us."""
    shown = redacted(url)
    try:
        answer = ask(url)
    except OSError as err:
        reason = getattr(err, "reason", err)
        why = getattr(reason, "strerror", None) or str(reason)
        return error(
            NAME,
            f"{shown} does not answer: {why}",
            "start it, or unset PREFECT_API_URL and let os-train server start keep one",
        )
    except ValueError as err:
        return error(NAME, f"PREFECT_API_URL {shown}: {err}", "give it as http://127.0.0.1:4200/api")
    if answer.status == 200:
        answer = _without_password(url) or answer
    if answer.status in (401, 403):
        return error(
            NAME,
            f"{shown} refuses us ({answer.status})",
            "set PREFECT_API_KEY or PREFECT_API_AUTH_STRING to what it asks for",
        )
    if answer.status != 200:
        return error(
            NAME,
            f"{shown}/health answers {answer.status}",
            "give the address of its API, such as http://127.0.0.1:4200/api",
        )
    return ok(NAME, f"{shown} answers")


def server_url() -> str | None:
    """Address of the API as Prefect would find it: the environment, else the active profile."""
    if url := os.environ.get("PREFECT_API_URL", "").strip():
        return url.rstrip("/")
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        profiles = tomllib.loads(path.read_text())
    except (OSError, ValueError):
        return None
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    url = profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
    return str(url).rstrip("/") if url else None


def _without_password(url: str) -> Answer | None:
    """The answer of a server that refuses us, though it tells everybody of its health; else None."""
    try:
        answer = ask(url, "admin/version")
    except OSError:
        return None
    return answer if answer.status in (401, 403) else None


def ask(url: str, page: str = "health") -> Answer:
    """Ask the server how it is.

    Raises:
        OSError: it does not answer.
        ValueError: this is no address.
    """
    request = urllib.request.Request(f"{url}/{page}", headers=_authorization())
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
            return Answer(response.status, _date(response.headers.get("Date")))
    except urllib.error.HTTPError as err:
        return Answer(err.code, _date(err.headers.get("Date")))


def _authorization() -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if text := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
    return {}


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
