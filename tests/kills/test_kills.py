"""Nine cells of the matrix, on real processes; `python -m tests.kills.matrix` plays all."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opensloth_core.runs.events import read_events
from tests.kills.by_worker import play_by_worker
from tests.kills.cells import Cell
from tests.kills.matrix import undisturbed
from tests.kills.play import Outcome, digest, play
from tests.kills.stage import ROOT, SAVE_STEPS, STEPS, Stage, write_inputs
from tests.prefect_server import prefect_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.usefixtures("two_cores")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills")
    write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def api_url(folder: Path) -> Iterator[str]:
    with prefect_server(folder / "prefect") as (address, _):
        yield address


@pytest.fixture(scope="module")
def baseline(folder: Path, api_url: str) -> str:
    """The adapter of a run that nobody disturbs."""
    return undisturbed(Stage(folder, api_url, folder / "prefect"))


def events(stage: Stage) -> list[dict[str, object]]:
    return read_events(stage.run_dirs[0] / "events.jsonl")


def shown(stage: Stage, outcome: Outcome) -> str:
    return f"{outcome}\n{stage.log.read_text()}"


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("prepare-kill-preparing", 1, "os-train: data preparation was killed by SIGKILL"),
        ("flow-term-preparing", 143, "os-train: terminated"),
        ("flow-kill-preparing", -9, ""),
        ("rank0-int-warming", 1, "os-train: rank 0 was killed by SIGINT"),
    ],
)
def test_a_kill_before_training_leaves_no_process_and_one_word_on_how_it_ended(
    name: str, code: int, said: str, folder: Path, api_url: str
) -> None:
    stage = Stage(folder, api_url, folder / "prefect")
    outcome = play(Cell.named(name), stage, None, None)
    assert not outcome.wrong, shown(stage, outcome)
    assert outcome.code == code
    assert said in stage.log.read_text()
    if said:
        way_out = f"to go on with this run from the start: --resume {stage.run_dirs[0].name}"
        assert way_out in stage.log.read_text()


def test_sigterm_to_every_process_of_a_run_with_its_own_server_cancels_it(folder: Path) -> None:
    stage = Stage(folder)
    outcome = play(Cell.named("all-term-preparing"), stage, None, None)
    assert not outcome.wrong, shown(stage, outcome)


def test_a_worker_that_is_told_to_end_leaves_no_process_and_its_run_is_marked_by_the_next_start(
    folder: Path, api_url: str
) -> None:
    stage = Stage(folder, api_url, folder / "prefect")
    outcome = play_by_worker(Cell.named("worker-term-preparing"), stage, None, 0)
    assert not outcome.wrong, shown(stage, outcome)


def test_a_killed_command_goes_on_in_its_own_run_to_the_same_adapter(
    folder: Path, api_url: str, baseline: str
) -> None:
    stage = Stage(folder, api_url, folder / "prefect")
    outcome = play(Cell.named("flow-kill-training"), stage, None, None)
    assert not outcome.wrong, shown(stage, outcome)
    (run_dir,) = stage.run_dirs

    refused = subprocess.run(
        [*stage.command, "sft", "--resume", run_dir.name, "--gpus", "1"],
        env=stage.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert f"run {run_dir.name} cannot go on as it was: GPUs: 1" in refused.stderr
    assert "--allow-drift" in refused.stderr

    resumed = stage.start("--resume", "auto")
    assert resumed.wait(timeout=300) == 0, shown(stage, outcome)
    assert stage.run_dirs == [run_dir]
    (step,) = [event["step"] for event in events(stage) if event["kind"] == "resumed"]
    assert isinstance(step, int) and step >= SAVE_STEPS and step % SAVE_STEPS == 0
    of_rank_0 = [e["step"] for e in events(stage) if e["kind"] == "step" and e["rank"] == 0]
    assert of_rank_0[-(STEPS - step) :] == list(range(step + 1, STEPS + 1))
    assert digest(run_dir) == baseline


def test_training_goes_on_by_itself_after_a_rank_was_killed(
    folder: Path, api_url: str, baseline: str
) -> None:
    stage = Stage(folder, api_url, folder / "prefect", extra=("--max-restarts", "1"))
    outcome = play(Cell.named("rank1-kill-training"), stage, baseline, None, end="completed")
    assert not outcome.wrong, shown(stage, outcome)
    assert outcome.adapter == "same"
    text = " ".join(str(event["text"]) for event in events(stage) if event["kind"] == "message")
    assert re.search(r"rank 1 was killed by SIGKILL .* Restart 1 of at most 1", text)
    assert "resuming after step" in text


def test_a_rank_that_stands_still_is_found_and_named_and_its_stack_is_in_its_log(
    folder: Path, api_url: str
) -> None:
    stage = Stage(folder, api_url, folder / "prefect", extra=("--stall-timeout", "10"))
    outcome = play(Cell.named("rank1-stop-training"), stage, None, None, end="failed")
    assert not outcome.wrong, shown(stage, outcome)
    said = stage.log.read_text()
    assert re.search(
        r"os-train: rank 1 made no progress for 10 s: rank 1 was last seen at step \d+, \d+ s ago; somebody "
        r"stopped its process \d+ \(SIGSTOP\), and rank 0 waits for it\.",
        said,
    ), said
    for rank in range(2):
        log = (stage.run_dirs[0] / "logs" / f"rank-{rank}.log").read_text()
        assert "(most recent call first):" in log and "worker.py" in log, log
