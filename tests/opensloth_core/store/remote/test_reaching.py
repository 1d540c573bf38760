"""A remote store that cannot be used is one line: which, why, and the way out, without what is secret."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from opensloth_core.errors import StoreError
from opensloth_core.store.remote.fsspec_objects import FsspecObjects
from opensloth_core.store.remote.lease import Lease
from opensloth_core.store.remote.listing import list_artifacts
from opensloth_core.store.remote.place import open_objects, store_url
from opensloth_core.store.remote.reaching import DATA_STORY, RemoteStoreForbidden, reaching
from opensloth_core.store.remote.record import Record, record_path

WAY_OUT = "; or unset OPENSLOTH_STORE to use this machine's store alone" + DATA_STORY


def error_of(url: str) -> str:
    """What listing a store ends with."""
    with pytest.raises(StoreError) as raised:
        list_artifacts(url)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.usefixtures("s3_account")
def test_a_bucket_that_is_missing() -> None:
    assert error_of("s3://no-such-bucket/x") == (
        "s3://no-such-bucket/x: no such bucket; create it, or correct OPENSLOTH_STORE" + WAY_OUT
    )


@pytest.mark.usefixtures("s3_account")
def test_a_bucket_that_is_missing_is_noticed_by_the_first_read() -> None:
    with pytest.raises(StoreError, match="no such bucket") as raised:
        open_objects("s3://no-such-bucket/x").read("v1/prepared/abc.json")
    assert raised.value.__cause__ is None  # not worth another try


def test_no_credentials(s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert error_of(s3_url) == (
        f"{s3_url}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE{WAY_OUT}"
    )


def test_a_server_that_is_down(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    assert error_of(s3_url) == (
        f"{s3_url}: the server does not answer; is it up, and AWS_ENDPOINT_URL right?{WAY_OUT}"
    )


def test_s3fs_that_is_not_installed(capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from opensloth_core.store.remote.listing import list_artifacts\n"
        "try: list_artifacts('s3://bucket/x')\n"
        "except RuntimeError as err: print(err)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert capfd.readouterr().out == (
        f"s3://bucket/x: s3:// needs a package that is missing: pip install 'opensloth[s3]'{WAY_OUT}\n"
    )


def test_a_protocol_that_nobody_knows() -> None:
    assert error_of("foo://x/y").startswith(
        "foo://x/y: the remote store cannot be used: Protocol not known: foo"
    )


def test_a_chain_of_urls() -> None:
    assert "a chain of URLs cannot be a store" in error_of("zip://a::s3://bucket/a.zip")


def test_credentials_in_a_url_are_refused_by_s3_and_never_shown() -> None:
    message = error_of("s3://key:hunter2@bucket/x")
    assert message == (
        "OPENSLOTH_STORE s3://bucket/x: S3 takes no credentials in the URL; set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY"
    )


def test_the_password_of_a_url_is_not_shown_whatever_fails() -> None:
    with pytest.raises(StoreError) as raised, reaching("ftp://user:hunter2@host/x?token=hunter2"):
        raise ValueError("cannot open ftp://user:hunter2@host/x?token=hunter2")
    assert "hunter2" not in str(raised.value)
    assert str(raised.value).startswith(
        "ftp://host/x: the remote store cannot be used: cannot open ftp://host/x"
    )


class _Refusing(FsspecObjects):
    """A store that takes the first write of an object and refuses all others."""

    def write_if(self, path: str, data: bytes, version: str | None) -> str | None:
        return super().write_if(path, data, version) if version is None else None


def test_the_password_of_a_store_is_not_shown_where_it_refuses_to_be_written() -> None:
    objects, path = _Refusing("memory://user:hunter2@host/x"), record_path("prepared", "abc")
    record = Record.lease(None, "run test")
    version = objects.write_if(path, record.data(), None)
    assert version is not None
    with pytest.raises(StoreError) as raised:
        Lease(objects, path, record, version).publish({})
    assert str(raised.value).startswith(
        "memory://host/x/v1/prepared/abc.json: two writes in a row were refused"
    )


def test_a_refusal_says_which_rights_are_needed() -> None:
    with (
        pytest.raises(RemoteStoreForbidden, match="need to list, read, write and delete there"),
        reaching("s3://b"),
    ):
        raise PermissionError("Access Denied")


def test_a_share_that_is_not_mounted(tmp_path: Path) -> None:
    assert error_of(str(tmp_path / "mnt" / "team")) == (
        f"OPENSLOTH_STORE {tmp_path}/mnt/team: no folder {tmp_path}/mnt to have it in; is it mounted?"
    )


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENSLOTH_STORE", raising=False)
    assert store_url() is None
    monkeypatch.setenv("OPENSLOTH_STORE", " ")
    assert store_url() is None
    monkeypatch.setenv("OPENSLOTH_STORE", str(tmp_path))
    assert store_url() == str(tmp_path)
    assert open_objects(f"file://{tmp_path}").url == open_objects(str(tmp_path)).url == str(tmp_path)
