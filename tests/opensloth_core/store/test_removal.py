"""Artifacts are removed whole, and never from under a run, a preparation or a pin."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.lock import run_lock
from opensloth_core.store import removal
from opensloth_core.store.catalog import Artifact, catalog
from opensloth_core.store.pins import pin
from opensloth_core.store.prepared import find_prepared
from opensloth_core.store.removal import remove
from opensloth_core.store.single_flight import Asker, single_flight
from opensloth_core.store.usage import Claim, record_use
from opensloth_core.store.verify import verify

Prepare = Callable[..., dict[str, bytes]]

NOBODY = 65534


@pytest.fixture
def prepared(config: DatasetPrepConfig, prepared_files: Prepare) -> Artifact:
    prepared_files(config)
    return of_kind("prepared")


def of_kind(kind: str) -> Artifact:
    (found,) = [one for one in catalog() if one.kind == kind]
    return found


def reasons(*artifacts: Artifact, damaged: bool = False) -> list[str | None]:
    return [removal.spared for removal in remove(artifacts, damaged=damaged)]


def new_run(key: str | None, model_dir: str = "/m") -> RunDirectory:
    run = RunDirectory.create(OpenSlothConfig(data="d.jsonl", model="m"))
    if key is not None:
        run.write_launch(Launch(model_dir, ("cpu",), key))
    return run


def test_a_removed_artifact_leaves_nothing(prepared: Artifact) -> None:
    assert reasons(*catalog()) == [None, None]
    assert catalog() == []
    assert find_prepared(prepared.key) == (None, None)
    left = [path.name for path in prepared.folder.parent.iterdir()]
    assert left == [".lock"]


def test_what_is_gone_already_is_no_error(prepared: Artifact) -> None:
    assert reasons(prepared) == [None]
    assert reasons(prepared) == [None]


def test_a_live_run_keeps_its_data_and_an_ended_one_does_not(prepared: Artifact) -> None:
    run = new_run(prepared.key)
    with run_lock(run):
        assert reasons(prepared) == [f"run {run.path.name} works with it"]
        assert verify(prepared.folder) is None
    assert reasons(prepared) == [None]


def test_what_was_used_since_it_was_listed_stays(prepared: Artifact) -> None:
    record_use(prepared.key)
    os.utime(prepared.folder, (prepared.last_used + 5,) * 2)
    assert reasons(prepared) == ["a run has just used it"]
    assert verify(prepared.folder) is None


def test_a_pin_set_since_it_was_listed_counts(prepared: Artifact) -> None:
    pin(prepared.key)
    assert reasons(prepared) == ["it is pinned"]


def test_damaged_data_goes_although_it_is_pinned_but_not_from_under_a_run(prepared: Artifact) -> None:
    pin(prepared.key)
    (prepared.folder / "units.arrow").unlink()
    with run_lock(new_run(prepared.key)):
        assert reasons(prepared, damaged=True)[0] is not None
    assert reasons(prepared, damaged=True) == [None]


def test_data_that_is_being_prepared_is_left_alone(prepared: Artifact) -> None:
    with single_flight(f"prepared-{prepared.key}", Asker(), "prepares"):
        assert reasons(prepared) == ["it is being prepared"]
    assert reasons(prepared) == [None]


def test_tokens_stay_while_others_that_may_borrow_from_them_are_made(prepared: Artifact) -> None:
    tokens = of_kind("tokens")
    settings = tokens.key.partition("-")[0]
    with single_flight(f"tokens-{settings}-another", Asker(), "tokenizes"):
        assert reasons(tokens) == ["tokens that may share its chunks are being made"]
    with single_flight("tokens-other-settings", Asker(), "tokenizes"):
        assert reasons(tokens) == [None]


def test_a_run_that_claims_data_during_its_removal_keeps_it(
    prepared: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run begins between the first look and the second, and finds its data again."""
    run = new_run(None)
    looks: list[bool] = []
    real_claims = removal.claims

    def claims(live_only: bool = False) -> list[Claim]:
        if looks:
            assert find_prepared(prepared.key)[0] is None  # nobody finds it in between
            assert all((prepared.folder / name).exists() for name in ("units.arrow", "ledger.json"))
            run.write_launch(Launch("/m", ("cpu",), prepared.key))
        looks.append(live_only)
        return real_claims(live_only)

    monkeypatch.setattr(removal, "claims", claims)
    with run_lock(run):
        assert reasons(prepared) == [f"run {run.path.name} works with it"]
    assert len(looks) == 2
    assert verify(prepared.folder) is None
    assert abs(prepared.folder.stat().st_mtime - prepared.last_used) < 0.001
    record_use(prepared.key)


def test_a_merged_model_that_a_starting_run_may_need_is_put_back(home: Path) -> None:
    folder = home / "models" / "merged-0123"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    run = new_run(None)
    with run_lock(run):
        assert reasons(of_kind("merged")) == [f"run {run.path.name} is starting, and may need it"]
    run.write_launch(Launch(str(folder), ("cpu",), "0" * 32))
    assert reasons(of_kind("merged")) == [f"what run {run.path.name} trained is based on it"]
    run.launch_path.unlink()
    assert (folder / "config.json").exists()
    assert reasons(of_kind("merged")) == [None]
    assert not folder.exists()


def test_more_artifacts_than_are_removed_at_once(
    config: DatasetPrepConfig, prepared_files: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "_AT_ONCE", 2)
    for num_shards in range(1, 6):
        prepared_files(config, num_shards=num_shards)
    assert len(catalog()) == 6
    assert reasons(*catalog()) == [None] * 6
    assert catalog() == []


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Runs the test as a user who owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("needs to become another user")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_home(
    monkeypatch: pytest.MonkeyPatch, config: DatasetPrepConfig, prepared_files: Prepare
) -> Iterator[Path]:
    """A store that other users may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("OPENSLOTH_HOME", folder)
        prepared_files(config)
        yield Path(folder)


def test_a_store_that_may_not_be_written_is_one_error_and_stays_whole(
    open_home: Path, as_nobody: None
) -> None:
    with pytest.raises(StoreError) as caught:
        remove(catalog())
    assert str(caught.value) == (
        f"{open_home}/store/prepared: artifacts cannot be removed: Permission denied; do it as a user who "
        "may write the store"
    )
    assert [verify(one.folder) for one in catalog()] == [None, None]
    with pytest.raises(StoreError, match="pins: cannot be written: Permission denied"):
        pin("0123")


def test_an_error_half_way_puts_back_what_was_not_removed_yet(
    config: DatasetPrepConfig, prepared_files: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    for num_shards in (1, 2, 3):
        prepared_files(config, num_shards=num_shards)
    artifacts = [one for one in catalog() if one.kind == "prepared"]
    real_rename, renamed = Path.rename, []

    def rename(path: Path, target: Path) -> Path:
        if ".staging-" in str(target):
            if renamed:
                raise OSError(5, "Input/output error")
            renamed.append(path)
        return real_rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(StoreError, match="Input/output error"):
            remove(artifacts)
    left = [one for one in catalog() if one.kind == "prepared"]
    assert len(left) == 2
    assert [verify(one.folder) for one in left] == [None, None]
