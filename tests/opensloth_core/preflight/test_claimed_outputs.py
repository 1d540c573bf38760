"""An output folder that a run which goes on is going to fill."""

from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.preflight import preflight, refuse_unpreparable
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.lock import run_lock


@pytest.fixture
def config(values: dict[str, Any], tmp_path: Path) -> OpenSlothConfig:
    return OpenSlothConfig.of({**values, "output": tmp_path / "out"})


@pytest.mark.parametrize("name", ["output", "data_output"])
def test_the_folder_of_a_run_that_goes_on_is_refused(
    name: str, values: dict[str, Any], tmp_path: Path, home: Path
) -> None:
    folder, same = tmp_path / "out", tmp_path / "link" / "out"
    same.parent.symlink_to(tmp_path)
    run = RunDirectory.create(OpenSlothConfig.of({**values, name: folder}))
    words = f"run {run.path.name} goes on and will put its result there; give another folder"
    with run_lock(run):
        run.events.state("training")
        with pytest.raises(ConfigError) as caught:
            preflight(OpenSlothConfig.of({**values, "output": same}))
        assert str(caught.value) == f"output {folder}: {words}"
        with pytest.raises(ConfigError) as caught:
            refuse_unpreparable(OpenSlothConfig.of({**values, "data_output": folder}))
        assert str(caught.value) == f"data_output {folder}: {words}"
        preflight(OpenSlothConfig.of({**values, "output": tmp_path / "other"}))


def test_a_run_that_ended_or_was_killed_claims_nothing(config: OpenSlothConfig, home: Path) -> None:
    killed, ended = RunDirectory.create(config), RunDirectory.create(config)
    with run_lock(killed):
        killed.events.state("training")
    ended.events.state("failed", message="why")
    preflight(config)


def test_of_two_that_began_at_once_the_later_gives_way(config: OpenSlothConfig, home: Path) -> None:
    earlier, later = RunDirectory.create(config), RunDirectory.create(config)
    preflight(config, own=earlier)
    with pytest.raises(ConfigError, match=f"run {earlier.path.name} goes on"):
        preflight(config, own=later)
