"""Artifacts in stores of every kind: whole or not there, whatever became of them."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.store.artifact import MANIFEST, Manifest
from opensloth_core.store.remote.lease import Lease, Timing
from opensloth_core.store.remote.listing import collect_abandoned, delete, list_artifacts
from opensloth_core.store.remote.record import Record, attempt_dir, record_path
from opensloth_core.store.remote.remote_store import RemoteStore
from tests.opensloth_core.store.remote.told import Told

KEY = "abc123"
PATH = record_path("prepared", KEY)

Pull = Callable[[], dict[str, bytes] | None]


@pytest.fixture
def store(any_url: str, told: Told, quick: Timing) -> RemoteStore:
    return RemoteStore(any_url, told.asker, quick)


@pytest.fixture
def pull(store: RemoteStore, tmp_path: Path) -> Pull:
    """Fetches the artifact into an empty folder: its files, or None where there is none."""
    target = tmp_path / "elsewhere" / "prepared" / KEY

    def run() -> dict[str, bytes] | None:
        manifest = store.pull("prepared", KEY, target, Manifest)
        assert (manifest is not None) == target.exists()
        assert not target.parent.exists() or not list(target.parent.glob(".staging-*"))
        return files_of(target) if manifest else None

    return run


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def leased(store: RemoteStore, kind: str = "prepared") -> Lease:
    lease = store.lease(kind, KEY)
    assert lease is not None
    return lease


def publish(store: RemoteStore, folder: Path) -> None:
    with leased(store) as lease:
        assert store.push("prepared", KEY, folder, lease)


def record_of(store: RemoteStore) -> Record:
    stored = store.objects.read(PATH)
    assert stored is not None
    record = Record.parse(stored.data)
    assert record is not None
    return record


def shard_path(store: RemoteStore) -> str:
    return f"{attempt_dir('prepared', KEY, record_of(store).attempt)}/shard-0.arrow"


def overwrite(store: RemoteStore, path: str, data: bytes, tmp_path: Path) -> None:
    source = tmp_path / "other bytes"
    source.write_bytes(data)
    store.objects.upload(source, path)


def test_what_one_publishes_another_fetches_byte_by_byte(
    store: RemoteStore, pull: Pull, artifact: Path, told: Told
) -> None:
    assert pull() is None
    publish(store, artifact)
    assert pull() == files_of(artifact)
    assert f"prepared {KEY} to {store.name} (0.0 MB" in told.text
    assert f"prepared {KEY} from {store.name} (0.0 MB" in told.text


def test_nothing_is_there_while_it_is_uploaded(store: RemoteStore, pull: Pull, artifact: Path) -> None:
    with leased(store) as lease:
        place = attempt_dir("prepared", KEY, lease.attempt)
        for path in artifact.iterdir():
            store.objects.upload(path, f"{place}/{path.name}")
            assert pull() is None
        assert lease.publish({})
    assert store.lease("prepared", KEY) is None


def test_a_truncated_file_is_found_and_the_artifact_made_again(
    store: RemoteStore, pull: Pull, artifact: Path, told: Told, tmp_path: Path
) -> None:
    publish(store, artifact)
    overwrite(store, shard_path(store), b"012345678", tmp_path)
    assert pull() is None
    assert (
        f"{store.name}/{PATH}: damaged: shard-0.arrow has 9 bytes, should have 30; it is made again"
        in told.lines
    )
    assert record_of(store).state == "free"
    publish(store, artifact)
    assert pull() == files_of(artifact)


def test_a_flipped_bit_is_found(
    store: RemoteStore, pull: Pull, artifact: Path, told: Told, tmp_path: Path
) -> None:
    publish(store, artifact)
    overwrite(store, shard_path(store), b"1123456789" + b"0123456789" * 2, tmp_path)
    assert pull() is None
    assert "damaged: shard-0.arrow has other bytes than were published" in told.text


def test_a_longer_file_is_not_downloaded_to_its_end(
    store: RemoteStore, pull: Pull, artifact: Path, told: Told, tmp_path: Path
) -> None:
    publish(store, artifact)
    overwrite(store, shard_path(store), bytes(31), tmp_path)
    assert pull() is None
    assert "shard-0.arrow has more than 31 bytes, should have 30" in told.text


def test_a_deleted_file_is_found(store: RemoteStore, pull: Pull, artifact: Path, told: Told) -> None:
    publish(store, artifact)
    store.objects.delete([shard_path(store)])
    assert pull() is None
    assert "damaged: shard-0.arrow is missing; it is made again" in told.text


def test_a_record_that_is_no_record_counts_as_nothing_and_is_replaced(
    store: RemoteStore, pull: Pull, artifact: Path, tmp_path: Path
) -> None:
    overwrite(store, PATH, b'{"state": "publ', tmp_path)
    assert pull() is None
    publish(store, artifact)
    assert pull() == files_of(artifact)


@pytest.mark.parametrize("name", ["../../outside", "/etc/passwd", "a/b", "..", ".hidden"])
def test_a_file_name_that_leaves_the_artifact_is_refused(
    store: RemoteStore, pull: Pull, artifact: Path, tmp_path: Path, name: str
) -> None:
    publish(store, artifact)
    data = record_of(store).data()
    assert Record.parse(data.replace(b'"ledger.json"', b'"other.json"')) is not None
    overwrite(store, PATH, data.replace(b'"ledger.json"', f'"{name}"'.encode()), tmp_path)
    assert pull() is None


def test_a_manifest_of_something_else_is_refused(
    store: RemoteStore, pull: Pull, artifact: Path, told: Told
) -> None:
    publish(store, artifact)
    record = record_of(store)
    fewer = {name: file for name, file in record.files.items() if name != "ledger.json"}
    stored = store.objects.read(PATH)
    assert stored is not None
    assert store.objects.write_if(PATH, record.changed(files=fewer).data(), stored.version)
    assert pull() is None
    assert f"damaged: {MANIFEST} is that of another artifact" in told.text


def test_conditions_are_relied_on_where_they_are_honoured(store: RemoteStore) -> None:
    assert store.objects.is_conditional


def test_of_two_who_write_on_the_same_version_one_succeeds(store: RemoteStore) -> None:
    version = store.objects.write_if("v1/x", b"one", None)
    assert version is not None
    assert store.objects.write_if("v1/x", b"two", None) is None
    second = store.objects.write_if("v1/x", b"two", version)
    assert second is not None
    assert store.objects.write_if("v1/x", b"three", version) is None
    assert not store.objects.delete_if("v1/x", version)
    now = store.objects.read("v1/x")
    assert now is not None and now.data == b"two"
    assert store.objects.delete_if("v1/x", second)
    assert store.objects.write_if("v1/x", b"four", second) is None
    assert store.objects.read("v1/x") is None


def test_who_waits_is_told_for_whom_and_gets_what_was_published(
    store: RemoteStore, pull: Pull, artifact: Path, told: Told
) -> None:
    with leased(store) as lease:
        publishing = threading.Timer(0.3, lambda: store.push("prepared", KEY, artifact, lease))
        publishing.start()
        assert store.lease("prepared", KEY) is None
        publishing.join()
    assert any(
        line.startswith("waiting for run test on ")
        and line.endswith(f", which prepares the same data for {store.name}")
        for line in told.lines
    )
    assert pull() == files_of(artifact)


def test_a_lease_whose_holder_failed_is_free_at_once(store: RemoteStore) -> None:
    with pytest.raises(ZeroDivisionError), leased(store) as lease:
        assert lease.token == 1
        raise ZeroDivisionError
    with leased(store) as lease:
        assert lease.token == 2


def test_a_live_holder_keeps_the_lease_however_long_it_takes(store: RemoteStore, quick: Timing) -> None:
    with leased(store) as lease:
        publishing = threading.Timer(2.5 * quick.silent_seconds, lambda: lease.publish({}))
        publishing.start()
        assert store.lease("prepared", KEY) is None
        publishing.join()
        assert lease.token == 1 and not lease.is_lost


def test_one_who_does_not_wait_leaves_a_live_holder_alone(store: RemoteStore) -> None:
    with leased(store, "tokens"):
        assert store.lease("tokens", KEY, wait=False) is None


def test_a_holder_that_was_taken_over_publishes_nothing(
    store: RemoteStore, pull: Pull, artifact: Path, told: Told, quick: Timing
) -> None:
    paused = leased(store)  # its heart never begins to beat
    with leased(store) as successor:
        assert successor.token == 2
        assert f"has been silent for {quick.silent_seconds:g} s; taking over" in told.text
        assert not store.push("prepared", KEY, artifact, paused)
        assert "another machine took over while this one was silent" in told.text
        assert pull() is None
        assert store.push("prepared", KEY, artifact, successor)
    assert record_of(store).token == 2
    assert pull() == files_of(artifact)


def test_listing_and_deleting(store: RemoteStore, any_url: str, artifact: Path, pull: Pull) -> None:
    assert list_artifacts(any_url) == []
    publish(store, artifact)
    [found] = list_artifacts(any_url)
    assert (found.kind, found.key) == ("prepared", KEY)
    assert found.size_bytes == sum(path.stat().st_size for path in artifact.iterdir())
    assert found.publisher.startswith("run test on ")
    assert delete(any_url, "prepared", KEY) == found.size_bytes
    assert delete(any_url, "prepared", KEY) == 0
    assert list_artifacts(any_url) == [] and not store.objects.listing("v1")
    assert pull() is None


def test_collecting_removes_what_nobody_will_publish_and_nothing_else(
    store: RemoteStore, any_url: str, artifact: Path, pull: Pull
) -> None:
    dead = leased(store)
    left = f"{attempt_dir('prepared', KEY, dead.attempt)}/shard-0.arrow"
    store.objects.upload(artifact / "shard-0.arrow", left)
    assert collect_abandoned(any_url, older_than=3600).num_attempts == 0
    assert collect_abandoned(any_url, older_than=-5, dry_run=True).size_bytes == 30
    assert store.objects.size_bytes(left) == 30

    removed = collect_abandoned(any_url, older_than=-5)
    assert (removed.num_attempts, removed.num_files, removed.size_bytes) == (1, 1, 30)
    assert not store.objects.listing("v1")
    assert not store.push("prepared", KEY, artifact, dead)

    publish(store, artifact)
    assert collect_abandoned(any_url, older_than=-5).num_attempts == 0
    assert pull() == files_of(artifact)


def test_a_server_that_ignores_conditions_is_found_out_and_said_to_be(
    loose_url: str, told: Told, quick: Timing, artifact: Path, tmp_path: Path
) -> None:
    store = RemoteStore(loose_url, told.asker, quick)
    assert not store.objects.is_conditional
    publish(store, artifact)
    assert f"{loose_url} has no conditional writes: two machines that start at the same moment" in told.text
    assert store.lease("prepared", KEY) is None
    target = tmp_path / "elsewhere" / "prepared" / KEY
    assert store.pull("prepared", KEY, target, Manifest) is not None
    assert files_of(target) == files_of(artifact)
