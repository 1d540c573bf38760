"""Whether Prefect's server answers, where one is configured or kept."""

import base64
import os
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path

from opensloth_core.doctor.finding import Finding, error, note, ok
from opensloth_core.doctor.kept_server import kept_server
from opensloth_core.runs.report.redact import redacted

NAME = "server"
ANSWER_SECONDS = 4.0

_HERE = "http://127.0.0.1:"

_START = "start it, or unset PREFECT_API_URL and let os-train server start keep one"
_RESTART = "see os-train server status; os-train server stop, then start"
_KEEP_ONE = "to keep one that runs share, with a page: os-train server start"

# A proxy of the environment is for other machines.
_here = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    time: float | None
    """Unix seconds by the server's clock."""


def check_server() -> Finding:
    """The own page of health of the server that a run would use."""
    if url := server_url():
        return examine_server(url)
    kept = kept_server()
    if kept is None:
        return note(NAME, f"none is configured: a run starts one of its own, in 7-30 s; {_KEEP_ONE}")
    if kept.state != "up":
        return note(NAME, f"{kept.address}, kept by os-train server start, is {kept.state}")
    found = examine_server(kept.address, _RESTART)
    return replace(found, text=f"{found.text} (kept by os-train server start)")


def examine_server(url: str, start_it: str = _START) -> Finding:
    """Whether the API at an address answers, and answers us.

    Args:
        start_it: the remedy where nothing answers.
    """
    shown = redacted(url)
    try:
        answer = ask(url)
    except OSError as err:
        reason = getattr(err, "reason", err)
        why = getattr(reason, "strerror", None) or str(reason)
        return error(NAME, f"{shown} does not answer: {why}", start_it)
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


def used_server_url() -> str | None:
    """Address of the API that a run would use: the configured one, else that of the server kept here."""
    kept = kept_server()
    return server_url() or (kept.address if kept else None)


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
    is_here = url.startswith(_HERE)
    request = urllib.request.Request(f"{url}/{page}", headers=_authorization(is_here))
    ask_it = _here.open if is_here else urllib.request.urlopen
    try:
        with ask_it(request, timeout=ANSWER_SECONDS) as response:
            return Answer(response.status, _date(response.headers.get("Date")))
    except urllib.error.HTTPError as err:
        return Answer(err.code, _date(err.headers.get("Date")))


def _authorization(is_here: bool) -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    # No server elsewhere is given the password of those that this shell starts.
    own = os.environ.get("PREFECT_SERVER_API_AUTH_STRING") if is_here else None
    if text := os.environ.get("PREFECT_API_AUTH_STRING") or own:
        return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
    return {}


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
