"""What counts as a server that is up, and what `os-train server` says where none is; nothing is started."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.main import main
from flows.cli.os_train import OS_TRAIN
from flows.server.deployments import deployments_file, read_deployments
from flows.server.record import ServerRecord, began_ticks, read_record, server_lock, write_record
from flows.server.start import Wanted, start_server
from flows.server.stop import stop_server
from opensloth_core.errors import ConfigError


@pytest.fixture(autouse=True)
def own_homes(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def held() -> Iterator[None]:
    lock = server_lock()
    assert lock is not None
    yield
    os.close(lock)


def record(process: int, ticks: int | None = None, port: int = 1) -> ServerRecord:
    began = began_ticks(process) if ticks is None else ticks
    return ServerRecord(state="up", keeper=process, keeper_ticks=began or 0, started=time.time(), port=port)


def test_a_record_that_a_killed_server_left_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    lock = server_lock()
    assert lock is not None
    write_record(record(os.getpid()))  # a process that lives, as after a reboot
    assert read_record() == record(os.getpid()).model_copy(update={"started": read_record().started})  # type: ignore[union-attr]
    os.close(lock)
    assert read_record() is None
    assert main(OS_TRAIN, ["server", "status"]) == 3
    assert capsys.readouterr().out == "no server is up; start one: os-train server start\n"
    assert main(OS_TRAIN, ["server", "stop"]) == 0
    assert main(OS_TRAIN, ["server", "open"]) == 3
    capsys.readouterr()
    assert main(OS_TRAIN, ["server", "status", "--json"]) == 3
    assert json.loads(capsys.readouterr().out) == {"up": False, "server": False, "worker": False}


def test_a_process_that_got_the_number_of_the_keeper_is_left_alone() -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stop_server(record(other.pid, ticks=1))
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_taken_port_is_said_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(OS_TRAIN, ["server", "start", "--port", str(port)]) == 2
    err = capsys.readouterr().err
    assert f"port {port}: another program has it" in err and f"--port {port + 1}" in err
    assert read_record() is None


def test_a_database_has_one_server_whatever_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.server.start import _database_lock

    first = _database_lock()
    monkeypatch.setenv("OPENSLOTH_HOME", str(tmp_path / "second"))
    with pytest.raises(ConfigError, match=r"used by the server of OPENSLOTH_HOME=.*/home; stop that one"):
        start_server(Wanted(4711, (), (), None))
    os.close(first)


def test_who_starts_it_twice_is_told_that_it_is_up_unless_it_would_have_to_be_another(
    held: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(record(os.getpid(), port=4711).model_copy(update={"roots": "/:s3://a/b"}))
    assert main(OS_TRAIN, ["server", "start", "--root", "s3://a/b"]) == 0
    out = capsys.readouterr().out
    assert "The server is up already" in out and "http://127.0.0.1:4711" in out
    assert main(OS_TRAIN, ["server", "start", "--port", "4712", "--limit", "2"]) == 2
    assert "--port 4712 --limit 2: the server is up already" in capsys.readouterr().err
    assert main(OS_TRAIN, ["server", "start", "--root", str(tmp_path)]) == 2
    assert f"--root {tmp_path}: the server is up already" in capsys.readouterr().err
    assert main(OS_TRAIN, ["server", "start", "--root", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_every_entry_of_prefect_yaml_is_understood_and_nothing_else(tmp_path: Path) -> None:
    entries = read_deployments(deployments_file())
    assert {(entry.entrypoint.partition(":")[2], entry.name) for entry in entries} >= {
        ("finetune_sft", "local"), ("finetune_dpo", "local"), ("finetune_grpo", "local"),
        ("prepare_data", "local-data"),
    }  # fmt: skip
    # A run that holds a slot of Prefect's ends with the server.
    assert not [entry for entry in entries if entry.concurrency_limit is not None]
    path = tmp_path / "prefect.yaml"
    path.write_text("deployments: [{name: a, entrypoint: 'b.py:c', limits: 1}]")
    with pytest.raises(ConfigError, match=r"limits: Extra inputs are not permitted"):
        read_deployments(path)
