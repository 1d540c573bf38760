"""A registry in a folder: links, holds, runs that work with a version, full and read-only disks."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.models.start import find_start
from opensloth_core.registry import model_files
from opensloth_core.registry.current_link import resolved
from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.lock import run_lock
from tests.opensloth_core.registry.adapters import marks, record, write_adapter
from tests.opensloth_core.store.test_store_faults import Disk

MakeAdapterDir = Callable[[int], Path]


@pytest.fixture
def root(home: Path) -> str:
    return str(home / "models")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 200 kB."""
    disk = Disk(tmp_path / "disk")
    disk.folder.mkdir()
    try:
        disk.mount("size=200k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount")
    yield disk
    disk.unmount()


def test_a_run_starts_from_the_version_that_was_current_not_from_the_link(promote, root: str) -> None:
    first = promote(1)
    start = find_start(f"{root}/bot/current")
    assert start.adapter is not None and str(start.adapter.folder) == first.location
    assert find_start("embedded", Path(root, "bot", "current")).adapter == start.adapter
    promote(2)
    assert marks(start.adapter.folder) == {1}
    # Any other link keeps its name.
    other = Path(root, "current")
    other.symlink_to(first.location)
    assert resolved(other) == other


def test_a_held_version_and_one_that_a_run_works_with_stay(promote, registry: Registry, home: Path) -> None:
    first, second = promote(1), promote(2)
    run = RunDirectory(home / "runs" / "sft-a-1f3a")
    run.path.mkdir(parents=True)
    run.write_launch(Launch("/m/tiny", ("cpu",), "a1" * 16, adapter_dir=second.location))
    with registry.hold(first) as folder, run_lock(run):
        for mark in (3, 4, 5):
            promote(mark, keep=1)
        assert [one.id for one in registry.versions()][2:] == [second.id, first.id]
        assert marks(folder) == {1}
        for version, reason in ((first, "somebody reads it"), (second, "run sft-a-1f3a works with it")):
            with pytest.raises(ConfigError, match=f"{version.id} stays: {reason}"):
                registry.remove(version)
    promote(6, keep=1)
    assert len(registry.versions()) == 2
    with pytest.raises(StoreError, match="was removed; ask for the current one"), registry.hold(first):
        pass


def test_what_was_trained_on_a_whole_model_keeps_it(home: Path, registry: Registry, tmp_path: Path) -> None:
    model = write_adapter(tmp_path / "model", 1)
    (model / "adapter_config.json").rename(model / "config.json")
    (model / "adapter_model.safetensors").rename(model / "model.safetensors")
    version = registry.promote(model, record(1), keep=1)
    run = RunDirectory(home / "runs" / "sft-a-1f3a")
    run.path.mkdir(parents=True)
    run.write_launch(Launch(version.location, ("cpu",), "a1" * 16))
    with pytest.raises(ConfigError, match="what run sft-a-1f3a trained needs it"):
        registry.remove_all()


def test_large_results_of_our_own_runs_are_linked_and_all_else_is_copied(
    registry: Registry, home: Path, make_adapter_dir: MakeAdapterDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "LINK_FROM_BYTES", 100)
    ours = write_adapter(home / "runs" / "sft-a-1f3a" / "adapter", 1, weight_bytes=200)

    def links(adapter: Path) -> dict[str, int]:
        folder = Path(registry.promote(adapter, record(1), keep=3).location)
        return {path.name: path.stat().st_nlink for path in folder.glob("[!m]*") if path.is_file()}

    assert links(ours) == {
        "adapter_config.json": 1,
        "adapter_model.safetensors": 2,
        "tokenizer_config.json": 1,
    }
    assert set(links(make_adapter_dir(1)).values()) == {1}


def test_what_a_killed_promotion_left_is_no_version_and_goes_with_the_next(promote, registry, root) -> None:
    first = promote(1)
    folder = Path(root, "bot")
    # As a process that is killed between its last two steps leaves them.
    killed = promote(2)
    (folder / "current").unlink()
    (folder / "current").symlink_to(f"versions/{first.id}")
    (folder / ".switching").write_text(killed.id)
    (folder / ".current-0123").symlink_to("versions/x")
    (folder / "versions" / ".staging-0003-1f3a-0123").mkdir()
    assert registry.versions() == [first] and registry.current() == first
    third = promote(3)
    assert third.replaced == first.id and not Path(killed.location).exists()
    assert {path.name for path in folder.iterdir()} == {".lock", ".retrain.lock", "current", "versions"}
    assert len(list((folder / "versions").iterdir())) == 3  # two versions and the lock


def test_a_damaged_version_is_named_and_never_gone_back_to(promote, registry: Registry, root: str) -> None:
    first, second = promote(1), promote(2)
    (Path(first.location) / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"adapter_model.safetensors has 1 bytes, should have"):
        registry.rollback()
    (Path(second.location) / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match=f"{second.id}: manifest.json is damaged.*models rollback bot"):
        registry.current()
    Path(root, "bot", "current").unlink()
    Path(root, "bot", "current").symlink_to("/tmp")
    with pytest.raises(StoreError, match="current: is no link to one of the model's versions"):
        registry.current()


def test_a_full_disk_leaves_the_current_version_as_it_was(disk: Disk, tmp_path: Path) -> None:
    registry = open_registry("bot", disk.folder)
    first = registry.promote(write_adapter(tmp_path / "small", 1), record(1), keep=3)
    large = write_adapter(tmp_path / "large", 2, weight_bytes=300_000)
    with pytest.raises(StoreError, match="No space left on device; make room, or") as caught:
        registry.promote(large, record(2), keep=3)
    assert "\n" not in str(caught.value)
    assert registry.current() == first and registry.versions() == [first]
    assert registry.promote(write_adapter(tmp_path / "next", 3), record(3), keep=3).replaced == first.id


def test_a_read_only_disk_is_read_from_and_says_so_when_written(disk: Disk, tmp_path: Path) -> None:
    registry = open_registry("bot", disk.folder)
    adapters = [write_adapter(tmp_path / f"a{mark}", mark) for mark in (1, 2)]
    versions = [registry.promote(adapter, record(1), keep=3) for adapter in adapters]
    disk.remount("ro")
    with registry.hold(versions[1]) as folder:
        assert marks(folder) == {2} and registry.judged() is not None
    for change in (
        lambda: registry.promote(adapters[0], record(3), keep=3),
        registry.rollback,
        lambda: registry.note_judged(record(4)),
        registry.remove_all,
    ):
        with pytest.raises(StoreError, match="Read-only file system; make room, or set"):
            change()
    assert registry.current() == versions[1]


def test_the_manifest_says_when_it_was_changed(promote, registry: Registry) -> None:
    path = Path(promote(1).location) / "manifest.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "created": time.time()}))
    with pytest.raises(StoreError, match=r"manifest\.json has changed since it was written"):
        registry.current()
