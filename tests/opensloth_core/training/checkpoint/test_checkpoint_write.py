"""A checkpoint is there whole or not at all."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opensloth_core.errors import TrainingError
from opensloth_core.training.checkpoint.manifest import newest_whole, open_checkpoint, sweep
from tests.opensloth_core.training.checkpoint.conftest import Training, adamw


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_manifest_has_every_file_and_where_the_run_is(training: Training, tmp_path: Path) -> None:
    training.steps(2)
    written = training.save(tmp_path, 120)
    assert written.path == tmp_path / "step-000120"
    assert names(tmp_path) == ["step-000120"]
    manifest = json.loads((written.path / "manifest.json").read_text())
    assert sorted([*manifest["files"], "manifest.json"]) == names(written.path)
    assert manifest["position"] == {"step": 120, "epoch": 0.5, "trained_tokens": 7}
    assert manifest["made_with"]["settings"] == {"learning_rate": 0.1}
    assert written.size_bytes == sum(record["size_bytes"] for record in manifest["files"].values())


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: (path / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda path: (path / "manifest.json").write_text("{"), "manifest.json cannot be read"),
        (lambda path: (path / "optimizer.json").unlink(), "optimizer.json is missing"),
        (lambda path: shorten(path / "weights-00001.safetensors"), "has [0-9,]+ bytes, should have"),
        (lambda path: flip(path / "rank-0-00001.safetensors"), "is not what was written"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_with_one_line(
    damage: Callable[[Path], None], problem: str, training: Training, tmp_path: Path
) -> None:
    for step in (10, 20):
        training.steps(1)
        training.save(tmp_path, step)
    assert newest(tmp_path) == (20, [])
    damage(tmp_path / "step-000020")
    step, lines = newest(tmp_path)
    assert step == 10
    (line,) = lines
    assert line.startswith("checkpoint step-000020 is damaged and not used: ")
    assert re.search(problem, line)


def newest(folder: Path) -> tuple[int | None, list[str]]:
    lines: list[str] = []
    checkpoint = newest_whole(folder, lines.append)
    return (checkpoint.step if checkpoint else None), lines


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def test_the_newest_are_kept_and_older_ones_go_once_the_new_one_is_there(
    training: Training, tmp_path: Path
) -> None:
    for step in (5, 10, 15):
        training.save(tmp_path, step, limit=2)
    assert names(tmp_path) == ["step-000010", "step-000015"]


def test_an_attempt_begins_without_what_the_one_before_left_half_done(
    training: Training, tmp_path: Path
) -> None:
    for step in (5, 10, 1_000_000):
        training.save(tmp_path, step)
    (tmp_path / "step-000015.partial").mkdir()
    flip(tmp_path / "step-1000000" / "weights-00001.safetensors")
    assert newest(tmp_path)[0] == 10
    sweep(tmp_path, last_step=10)
    assert names(tmp_path) == ["step-000005", "step-000010"]


def test_a_step_that_is_run_again_replaces_its_checkpoint(training: Training, tmp_path: Path) -> None:
    path = training.save(tmp_path, 5).path
    flip(path / "weights-00001.safetensors")
    training.save(tmp_path, 5)
    assert open_checkpoint(path)[1] is None
    assert names(tmp_path) == ["step-000005"]


def test_a_full_disk_is_one_clear_error_and_leaves_the_last_checkpoint(small_disk: Path) -> None:
    place = small_disk / "checkpoints"
    small, large = Training(adamw), Training(adamw, width=1000)
    small.steps(1)
    large.steps(1)
    small.save(place, 5)
    with pytest.raises(TrainingError) as raised:
        large.save(place, 10)
    message = str(raised.value)
    assert message.startswith(
        f"{place}/step-000010: rank 0 cannot save the checkpoint: No space left on device"
    )
    # Weights, two averages of each, in four bytes: 3 * 4 * (8 * 1000 + 1000 + 1000 * 80), and a bit.
    assert "it needs 1.1 MB and 0." in message
    assert "make room" in message and "resume" in message
    assert names(place) == ["step-000005"]
    assert newest(place) == (5, [])
    small.save(place, 15, limit=1)
    assert names(place) == ["step-000015"]


def test_a_limit_on_file_sizes_is_a_clear_error_too(training: Training, tmp_path: Path) -> None:
    training.save(tmp_path, 5)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(TrainingError, match="rank 0 cannot save the checkpoint: File too large"):
            training.save(tmp_path, 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == ["step-000005"]


def test_a_place_that_cannot_be_written_is_a_clear_error(training: Training, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    with pytest.raises(TrainingError, match=r"cannot save the checkpoint: Not a directory.*writable"):
        training.save(tmp_path / "checkpoints", 10)


RANK = """
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from opensloth_core.errors import TrainingError
from opensloth_core.training.checkpoint.manifest import Position
from opensloth_core.training.checkpoint.write import write_checkpoint
from tests.opensloth_core.training.checkpoint.conftest import MADE_WITH

place, meeting, rank = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
dist.init_process_group("gloo", store=dist.FileStore(meeting, 2), rank=rank, world_size=2)
made_with = MADE_WITH.model_copy(update={"world_size": 2})
for step, full in ((5, None), (10, 0), (15, None), (20, 1), (25, None)):
    parts = {f"rank-{rank}": {"numbers": torch.zeros(10**6 if rank == full else 10)}}
    position = Position(step=step, epoch=1, trained_tokens=1)
    try:
        write_checkpoint(place, position, parts, made_with, rank, "cpu", limit=9)
        print("saved", step)
    except TrainingError as err:
        print(err)
"""


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_rank_whose_disk_is_full_ends_all_ranks_with_its_error(small_disk: Path, tmp_path: Path) -> None:
    place = small_disk / "checkpoints"
    command = [sys.executable, "-c", RANK, str(place), str(tmp_path / "meeting")]
    ranks = [subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True) for rank in range(2)]
    lines = [rank.communicate(timeout=180)[0].splitlines() for rank in ranks]
    assert lines[0] == lines[1]
    saved_5, full_10, saved_15, full_20, saved_25 = lines[0]
    assert (saved_5, saved_15, saved_25) == ("saved 5", "saved 15", "saved 25")
    assert "rank 0 cannot save the checkpoint: No space left on device; it needs 4.0 MB" in full_10
    assert "rank 1 cannot save the checkpoint: No space left on device; it needs 4.0 MB" in full_20
    assert names(place) == ["step-000005", "step-000015", "step-000025"]
    assert newest(place) == (25, [])
    of_ranks = [f"rank-{rank}{end}" for rank in range(2) for end in ("-00001.safetensors", ".json")]
    assert names(place / "step-000005") == ["manifest.json", *of_ranks]
