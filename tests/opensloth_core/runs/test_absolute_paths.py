"""A run can be gone on with from any directory."""

from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.find import find_resumable
from opensloth_core.runs.lock import run_lock


def test_a_run_records_where_its_files_are(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "rows.jsonl").touch()
    (here / "base").mkdir()
    config = OpenSlothConfig.of({"data": "rows.jsonl", "model": "base", "output": "out", "gpus": 1})
    monkeypatch.chdir(here)
    run = RunDirectory.create(config)
    with run_lock(run):
        run.events.state("training")
    assert find_resumable("auto", config) is not None

    monkeypatch.chdir(there)
    recorded = run.config()
    assert recorded.data == (str(here / "rows.jsonl"),)
    assert (recorded.model, recorded.output) == (str(here / "base"), here / "out")
    # The same words mean other files here.
    assert find_resumable("auto", config) is None
    found = find_resumable("auto", recorded)
    assert found is not None and found.path == run.path
