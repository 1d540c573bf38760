"""`--remote` as far as nothing is submitted: paths, and what is refused before."""

import http.server
import threading
from pathlib import Path

import pytest

from flows.cli.main import main
from flows.cli.os_data import OS_DATA
from flows.cli.os_train import OS_TRAIN
from flows.remote.refused import refuse_missing, refuse_secrets
from flows.server.ask import password_for
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, DataError
from opensloth_core.runs.absolute_paths import with_absolute_paths


@pytest.fixture(autouse=True)
def no_server(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def test_paths_are_resolved_and_names_stay_names(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "base").mkdir()
    config = OpenSlothConfig(
        data=["a.jsonl", "parts/*.jsonl", "org/name", "s3://b/c.jsonl"], model="base", output=Path("out")
    )
    resolved = with_absolute_paths(config)
    assert resolved.data == (
        f"{tmp_path}/a.jsonl", f"{tmp_path}/parts/*.jsonl", "org/name", "s3://b/c.jsonl",
    )  # fmt: skip
    assert (resolved.model, resolved.output) == (f"{tmp_path}/base", tmp_path / "out")
    assert with_absolute_paths(config.model_copy(update={"model": "org/base"})).model == "org/base"
    (tmp_path / "embedded").mkdir()
    assert with_absolute_paths(config.model_copy(update={"model": "embedded"})).model == "embedded"
    # What is not there is said to be so, rather than to be outside of what a server's runs may read.
    refuse_missing(config)
    with pytest.raises(DataError, match=r"^none/b.jsonl: no such file"):
        refuse_missing(config.model_copy(update={"data": ("a.jsonl", "none/b.jsonl")}))
    # What was not given stays so.
    assert resolved.model_fields_set == config.model_fields_set


def test_a_url_with_a_password_is_not_submitted() -> None:
    config = OpenSlothConfig(data="https://me:secret@host/a.jsonl", model="org/base")
    with pytest.raises(ConfigError, match=r"https://\*\*\*@host/a.jsonl: holds a password"):
        refuse_secrets(config)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--remote"], "no server is up to submit to; start one: os-train server start"),
        (["--detach"], "--detach: has a meaning with --remote only"),
        (["--remote", "--seed", "-1"], "--seed"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for program, first in ((OS_TRAIN, ["sft"]), (OS_DATA, [])):
        assert main(program, [*first, "a.jsonl", "--model", "org/base", *words]) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1


def test_only_a_server_of_this_machine_is_given_the_password_of_servers_started_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "admin:here")
    assert password_for("http://127.0.0.1:4200/api") == "admin:here"
    assert password_for("http://127.0.0.1.example.org/api") is None
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:there")
    assert password_for("http://server:4200/api") == "admin:there"


def test_a_program_that_is_no_prefect_server_is_said_to_be_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = http.server.SimpleHTTPRequestHandler
    monkeypatch.setattr(handler, "log_message", lambda *words: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{other.server_port}/api")
        assert main(OS_TRAIN, ["sft", "a.jsonl", "--model", "org/base", "--remote"]) == 1
        other.shutdown()
    assert "/api/health answers 404; give the address of its API" in capsys.readouterr().err
