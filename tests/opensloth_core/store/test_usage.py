"""What runs say that they work with, and when they used it last."""

import os
import threading
import time
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.lock import run_lock
from opensloth_core.store.artifact import LOCK, MANIFEST
from opensloth_core.store.file_lock import lock_file
from opensloth_core.store.prepared import prepared_dir
from opensloth_core.store.usage import claims, record_use

KEY = "0" * 32


@pytest.fixture
def run(home: Path) -> RunDirectory:
    return RunDirectory.create(OpenSlothConfig(data="d.jsonl", model="m"))


@pytest.fixture
def data(home: Path) -> Path:
    """Prepared data that was used an hour ago."""
    folder = prepared_dir(KEY)
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text("{}")
    (folder.parent / LOCK).touch()
    os.utime(folder, (time.time() - 3600,) * 2)
    return folder


def test_a_run_claims_its_data_and_models_from_launch_on(run: RunDirectory) -> None:
    assert claims() == []
    run.write_launch(Launch("/models/base", ("cpu",), KEY, adapter_dir="/adapter", base_model="org/base"))
    (claim,) = claims()
    assert (claim.run, claim.is_live, claim.prepared_key) == (run.path.name, False, KEY)
    assert claim.model_dirs == {"/models/base", "/adapter", "org/base"}
    assert claims(live_only=True) == []
    with run_lock(run):
        (claim,) = claims(live_only=True)
        assert (claim.is_live, claim.is_clear) == (True, True)


def test_a_live_run_that_has_not_launched_is_not_clear(run: RunDirectory) -> None:
    with run_lock(run):
        (claim,) = claims()
        assert (claim.is_live, claim.prepared_key, claim.is_clear) == (True, None, False)


def test_a_launch_that_is_just_being_written_is_waited_for(run: RunDirectory) -> None:
    run.launch_path.write_text('{"model_dir": "/m", "prepa')
    with run_lock(run):
        writer = threading.Timer(0.2, lambda: run.write_launch(Launch("/m", ("cpu",), KEY)))
        writer.start()
        assert claims()[0].prepared_key == KEY
        writer.join()


def test_a_torn_launch_of_a_dead_run_claims_nothing(run: RunDirectory) -> None:
    run.launch_path.write_text('{"model_dir": "/m", "prepa')
    assert claims() == []


def test_use_is_recorded(data: Path) -> None:
    record_use(KEY)
    assert time.time() - data.stat().st_mtime < 60


def test_data_that_vanished_before_its_use_is_one_clear_error(home: Path, data: Path) -> None:
    (data / MANIFEST).unlink()
    with pytest.raises(
        StoreError, match="was removed while the run was about to use it; run the command again"
    ):
        record_use(KEY)


def test_use_waits_for_a_removal_to_be_decided(data: Path) -> None:
    lock = lock_file(data.parent / LOCK, wait=True)
    assert lock is not None
    (data / MANIFEST).rename(data / ".taken")

    def put_back() -> None:
        (data / ".taken").rename(data / MANIFEST)
        os.close(lock)

    timer = threading.Timer(0.2, put_back)
    timer.start()
    record_use(KEY)
    timer.join()
