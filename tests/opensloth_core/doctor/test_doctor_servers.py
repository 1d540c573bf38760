"""What is told of a Prefect server, and of its clock."""

import http.server
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flows.server.record import ServerRecord, server_lock, write_record
from opensloth_core.doctor.clock import check_clock
from opensloth_core.doctor.finding import error, note, ok
from opensloth_core.doctor.server import check_server, server_url


@pytest.fixture
def answering() -> Iterator[tuple[str, dict[str, object]]]:
    """A server's address, and how it answers: `status`, `date` in seconds from now, `delay` in seconds."""
    asked: list[tuple[str, str | None]] = []
    how: dict[str, object] = {"status": 200, "date": 0.0, "delay": 0.0, "asked": asked}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(float(str(how["delay"])))
            asked.append((self.path, self.headers.get("Authorization")))
            status = how["status"] if self.path == "/api/health" else how.get("otherwise", how["status"])
            self.send_response_only(int(str(status)))
            self.send_header("Date", self.date_time_string(time.time() + float(str(how["date"]))))
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api", how
    server.shutdown()
    server.server_close()


def test_without_a_configured_server_it_says_how_to_keep_one() -> None:
    finding = check_server()
    assert finding.mark == "note" and "os-train server start" in finding.text


@pytest.fixture
def kept(home: Path) -> Iterator[Callable[..., None]]:
    """Has this process keep a server for the home, at a port."""
    descriptor = server_lock()
    assert descriptor is not None
    yield lambda port, state="up": write_record(
        ServerRecord(state=state, keeper=1, keeper_ticks=1, started=0.0, port=port)
    )
    os.close(descriptor)
    assert check_server().mark == "note"  # the record of a keeper that ended counts for nothing


def test_the_server_that_is_kept_for_this_home_is_asked_and_its_clock(answering, kept, monkeypatch) -> None:
    url, how = answering
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "a:b")
    kept(urlsplit(url).port)
    assert check_server() == ok("server", f"{url} answers (kept by os-train server start)")
    assert how["asked"][0] == ("/api/health", "Basic YTpi")
    how["date"] = -90.0
    assert "the server is -" in check_clock().text
    kept(urlsplit(url).port, "starting")
    assert check_server() == note("server", f"{url}, kept by os-train server start, is starting")


def test_a_kept_server_that_does_not_answer_is_an_error_unless_another_is_configured(
    answering, kept, monkeypatch
) -> None:
    kept(1)
    assert check_server() == error(
        "server",
        "http://127.0.0.1:1/api does not answer: Connection refused (kept by os-train server start)",
        "see os-train server status; os-train server stop, then start",
    )
    monkeypatch.setenv("PREFECT_API_URL", answering[0])
    assert check_server() == ok("server", f"{answering[0]} answers")
    monkeypatch.delenv("PREFECT_API_URL")


def test_a_server_that_answers_is_well_and_is_given_the_key(answering, monkeypatch) -> None:
    url, how = answering
    monkeypatch.setenv("PREFECT_API_URL", url + "/")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_1")
    assert check_server() == ok("server", f"{url} answers")
    assert how["asked"] == [("/api/health", "Bearer pnu_1"), ("/api/admin/version", "Bearer pnu_1")]
    how["otherwise"] = 401  # as Prefect's does behind a password: its health is everybody's
    assert "refuses us (401)" in check_server().text


@pytest.mark.parametrize(("status", "words"), [(401, "refuses us (401)"), (404, "/health answers 404")])
def test_a_server_that_answers_otherwise_is_an_error(status, words, answering, monkeypatch) -> None:
    url, how = answering
    how["status"] = status
    monkeypatch.setenv("PREFECT_API_URL", url)
    finding = check_server()
    assert finding.mark == "error" and words in finding.text and finding.remedy


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/api", "http://no-such-host.invalid/api", "nonsense"])
def test_a_server_that_cannot_be_reached_is_an_error(url, monkeypatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", url)
    finding = check_server()
    assert finding.mark == "error" and finding.remedy and url in finding.text


def test_the_server_of_the_active_profile_is_found(tmp_path, monkeypatch) -> None:
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "profiles.toml").write_text(
        'active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://a/api/"\n[profiles.mine]\n'
    )
    assert server_url() == "http://a/api"
    monkeypatch.setenv("PREFECT_PROFILE", "mine")
    assert server_url() is None


def test_a_server_whose_clock_is_off_is_named(answering, monkeypatch) -> None:
    url, how = answering
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert check_clock().text.endswith(", as file system and server")
    how["date"] = -90.0
    finding = check_clock()
    assert finding.mark == "warning"
    assert any(f"the server is {off} s off" in finding.text for off in ("-89", "-90", "-91"))
