"""A real S3 server on loopback, stores of every kind, and small artifacts to put there."""

import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opensloth_core.store.artifact import Manifest, commit, file_records, staging
from opensloth_core.store.remote.lease import Timing
from tests.opensloth_core.store.remote.told import Told

ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key"


@contextmanager
def s3_server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """An S3 server: its address and its process."""
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("s3_server.py"))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY},
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}", server
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Address of an S3 server."""
    with s3_server() as (address, _):
        yield address


@pytest.fixture
def fragile_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[], None]]]:
    """A prefix in an empty bucket of a server of its own, and what ends that server."""
    with s3_server() as (address, server):
        use_account(address, monkeypatch)
        yield new_bucket(address, "bucket") + "/team", server.kill


@pytest.fixture
def s3_account(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of somebody who may use the server; gives its address."""
    use_account(s3_endpoint, monkeypatch)
    return s3_endpoint


def use_account(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3_url(s3_account: str) -> str:
    """A prefix in an empty bucket of its own."""
    return new_bucket(s3_account, "bucket") + "/team"


@pytest.fixture
def loose_url(s3_account: str) -> str:
    """An empty bucket of a server that ignores conditions."""
    return new_bucket(s3_account, "loose")


@pytest.fixture
def slow_url(s3_account: str) -> str:
    """An empty bucket of a server to which large uploads take seconds."""
    return new_bucket(s3_account, "slow")


def new_bucket(endpoint: str, prefix: str) -> str:
    bucket = f"{prefix}-{secrets.token_hex(6)}"
    request = urllib.request.Request(f"{endpoint}/{bucket}", method="PUT")
    urllib.request.urlopen(request).close()
    return f"s3://{bucket}"


@pytest.fixture(params=["s3", "folder", "memory"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_url"))
    return str(tmp_path / "shared") if request.param == "folder" else f"memory://{secrets.token_hex(6)}"


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def quick() -> Timing:
    """Waits that suit a test."""
    return Timing(heartbeat_seconds=0.2, silent_seconds=1.5, poll_seconds=0.05, patience_seconds=1.0)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """The folder of an artifact of two files, of 30 and 5 bytes."""
    target = tmp_path / "local" / "prepared" / "abc123"
    with staging(target) as folder:
        (folder / "shard-0.arrow").write_bytes(b"0123456789" * 3)
        (folder / "ledger.json").write_bytes(b"{...}")
        commit(folder, target, Manifest(files=file_records(folder)))
    return target
