"""A registry in a remote store: copies that are verified, promoters that were taken over, errors."""

import os
import secrets
from pathlib import Path

import pytest

from opensloth_core.errors import StoreError
from opensloth_core.registry.listing import find_version, model_names
from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.registry.records import Version
from opensloth_core.registry.remote_registry import RemoteRegistry
from opensloth_core.store.remote.place import open_objects
from tests.opensloth_core.registry.adapters import marks, record
from tests.opensloth_core.registry.process import QUICK


@pytest.fixture
def root(home: Path) -> str:
    return f"memory://{secrets.token_hex(6)}"


def change(root: str, version: Version, name: str, data: bytes) -> None:
    objects, path = open_objects(root), f"bot/versions/{version.id}/{name}"
    stored = objects.read(path)
    assert stored is not None and objects.write_if(path, data, stored.version)


def test_a_copy_is_fetched_once_verified_and_goes_when_its_version_has_gone(promote, registry, root) -> None:
    first = promote(1)
    folder = registry.local_dir(first)
    before = (folder / "manifest.json").stat().st_ino
    assert registry.local_dir(first) == folder and (folder / "manifest.json").stat().st_ino == before
    (folder / "tokenizer_config.json").unlink()
    assert marks(registry.local_dir(first)) == {1}
    with registry.hold(first):
        versions = [promote(mark, keep=1) for mark in (2, 3, 4)]
        registry.local_dir(versions[-1])
        assert folder.exists()
    promote(5, keep=1)
    current = registry.current()
    assert current is not None
    registry.local_dir(current)
    assert not folder.exists()
    with pytest.raises(StoreError, match="was removed meanwhile; ask for the current version again"):
        registry.local_dir(first)


def test_a_damaged_version_is_never_handed_out(promote, registry: Registry, root: str) -> None:
    first, second = promote(1), promote(2)
    change(root, second, "tokenizer_config.json", b'{"mark": "mark-9-"}')
    with pytest.raises(StoreError, match=r"tokenizer_config.json has other bytes than were promoted"):
        registry.local_dir(second)
    change(root, first, "tokenizer_config.json", b"")
    with pytest.raises(StoreError, match=r"tokenizer_config.json: is missing or cut off"):
        registry.rollback()
    change(root, second, "manifest.json", b"{}")
    with pytest.raises(StoreError, match=r"manifest.json is damaged, or of another version; go back"):
        registry.current()


def test_a_promoter_that_was_taken_over_changes_nothing(promote, registry, root, make_adapter_dir) -> None:
    first = promote(1)
    slow = open_registry("bot", root, timing=QUICK)
    assert isinstance(slow, RemoteRegistry)
    with slow.lock():
        # As a machine that was paused for so long that another one took its lease.
        lease_path = "v1/retrain/bot.json"
        stored = open_objects(root).read(lease_path)
        assert stored is not None and open_objects(root).delete_if(lease_path, stored.version)
        second = promote(2)
        with pytest.raises(StoreError, match="another process took over while this one was silent"):
            slow.promote(make_adapter_dir(3), record(3), keep=1)
    assert registry.current() == second and registry.versions() == [second, first]
    found = {path.split("/")[2] for path in open_objects(root).listing("bot/versions")}
    assert found == {first.id, second.id}


def test_models_are_listed_by_their_pointers(promote, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = promote(1)
    monkeypatch.setenv("OPENSLOTH_MODELS", root)
    assert model_names() == ["bot"]
    assert find_version(open_registry("bot"), "0001") == first


def test_errors_name_the_variable_that_models_are_found_by(home: Path) -> None:
    with pytest.raises(StoreError, match="OPENSLOTH_MODELS") as caught:
        open_registry("bot", "s3://key:secret@bucket/models")
    assert "OPENSLOTH_STORE" not in str(caught.value) and "secret" not in str(caught.value)
    os.environ.pop("AWS_ENDPOINT_URL", None)
    with pytest.raises(StoreError, match="to keep models on this machine alone"):
        open_registry("bot", "nosuch://bucket/models").current()


def test_without_conditional_writes_it_is_said_and_versions_stay_whole(loose_url, make_adapter_dir) -> None:
    said: list[str] = []
    registry = open_registry("bot", loose_url, said.append, QUICK)
    version = registry.promote(make_adapter_dir(1), record(1), keep=2)
    assert len(said) == 1 and "the store has no conditional writes" in said[0]
    assert marks(registry.local_dir(version)) == {1}
