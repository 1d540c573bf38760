"""What an attempt leaves in a store that nobody will publish is gone with the next that is published."""

from pathlib import Path

import pytest

from opensloth_core.store.artifact import Manifest
from opensloth_core.store.remote.lease import Lease, Timing
from opensloth_core.store.remote.reaching import RemoteStoreError
from opensloth_core.store.remote.record import attempt_dir
from opensloth_core.store.remote.remote_store import RemoteStore
from tests.opensloth_core.store.remote.told import Told

KEY = "abc123"


@pytest.fixture
def store(any_url: str, told: Told) -> RemoteStore:
    return RemoteStore(any_url, told.asker, Timing(0.1, silent_seconds=0.5, poll_seconds=0.05))


def leased(store: RemoteStore) -> Lease:
    lease = store.lease("prepared", KEY)
    assert lease is not None
    return lease


def attempts(store: RemoteStore) -> set[str]:
    """Attempts at the key that have files in the store."""
    return {path.split("/")[4] for path in store.objects.listing("v1/objects")}


def test_who_takes_over_removes_what_the_dead_left_once_it_has_published(
    store: RemoteStore, artifact: Path, tmp_path: Path
) -> None:
    dead = []
    for _ in range(2):
        dead.append(leased(store))  # its heart never begins to beat
        place = attempt_dir("prepared", KEY, dead[-1].attempt)
        store.objects.upload(artifact / "shard-0.arrow", f"{place}/shard-0.arrow")
        store.objects.upload(artifact / "shard-0.arrow", f"{place}/.partial-0123456789abcdef")
    with leased(store) as lease:
        assert attempts(store) == {one.attempt for one in dead}
        assert store.push("prepared", KEY, artifact, lease)
    assert attempts(store) == {lease.attempt}
    target = tmp_path / "elsewhere" / "prepared" / KEY
    assert store.pull("prepared", KEY, target, Manifest) is not None
    # The dead ones wake up, and harm nothing.
    for one in dead:
        assert not store.push("prepared", KEY, artifact, one)
    assert attempts(store) == {lease.attempt}


def test_what_was_sent_is_removed_where_the_rest_cannot_be(store: RemoteStore, artifact: Path) -> None:
    with leased(store) as lease:
        other = attempt_dir("prepared", KEY, f"1-{16 * 'f'}")
        store.objects.upload(artifact / "ledger.json", f"{other}/ledger.json")
        (artifact / "shard-0.arrow").unlink()
        with pytest.raises(RemoteStoreError, match="No such file"):
            store.push("prepared", KEY, artifact, lease)
        assert attempts(store) == {f"1-{16 * 'f'}"}
