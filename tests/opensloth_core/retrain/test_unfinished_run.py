"""What a firing goes on with that another one was killed in the middle of. No process trains here."""

import json
from pathlib import Path

import pytest

from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.preflight import preflight
from opensloth_core.retrain.settings import retraining_config, with_adapter
from opensloth_core.retrain.take_up import unfinished_run
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.lock import run_lock
from opensloth_core.store.prepared import prepared_key
from opensloth_core.training.checkpoint.made_with import made_with
from opensloth_core.training.checkpoint.manifest import CheckpointManifest, Position
from tests.opensloth_core.retrain.flags import write_rows, write_untrained_adapter


@pytest.fixture
def config(tmp_path: Path, home: Path, tiny_model_dir: Path) -> OpenSlothConfig:
    source = tmp_path / "flags.jsonl"
    write_rows(source, 20, "It is green.")
    given = {"data": str(source), "model": str(tiny_model_dir), "gpus": 1, "max_seq_length": 192}
    return retraining_config(OpenSlothConfig.of(given))


def killed(config: OpenSlothConfig) -> RunDirectory:
    """A run that was killed after its first checkpoint."""
    checked = preflight(config)
    key = prepared_key(config.preparation, checked.start.tokenizer_dir, 1)
    launch = checked.start.launch(checked.devices, key.digest)
    run = RunDirectory.create(config)
    with run_lock(run):
        run.write_launch(launch)
    made = made_with(config, key.parts, launch.weight_folders, launch.devices, BatchPlan(2, 1, 1))
    manifest = CheckpointManifest(
        files={}, created=0.0, position=Position(step=10, epoch=1.0, trained_tokens=1), made_with=made
    )
    folder = run.checkpoints_dir / "step-000010"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return run


def test_the_next_firing_takes_up_a_run_of_the_same_data_until_it_is_completed(
    config: OpenSlothConfig,
) -> None:
    assert unfinished_run(config) is None
    run = killed(config)
    found = unfinished_run(config)
    assert found is not None and found.run.path == run.path and found.differing == ()
    assert unfinished_run(config.model_copy(update={"seed": 7})) is None
    run.events.state("completed")
    assert unfinished_run(config) is None


def test_a_run_of_data_that_has_grown_meanwhile_cannot_go_on_and_says_why(config: OpenSlothConfig) -> None:
    killed(config)
    with Path(config.data[0]).open("a") as rows:
        rows.write(json.dumps({"question": "One more?", "answer": "Yes."}) + "\n")
    found = unfinished_run(config)
    assert found is not None
    (differing,) = found.differing
    assert differing.startswith("data: key ") and "(input: " in differing


def test_a_warm_start_goes_on_with_a_run_from_the_same_version_only(
    config: OpenSlothConfig, tmp_path: Path
) -> None:
    first, second = (
        with_adapter(config, write_untrained_adapter(tmp_path / name, Path(config.model)))
        for name in ("first", "second")
    )
    run = killed(first)
    found = unfinished_run(first)
    assert found is not None and found.run.path == run.path and found.differing == ()
    assert unfinished_run(second) is None
    assert unfinished_run(config) is None
