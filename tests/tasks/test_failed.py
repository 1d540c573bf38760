"""What the page of a failed run says: one line, with what to do and where the log is."""

from pathlib import Path

import pytest

from opensloth_core.errors import DataError, OpenSlothError, TrainingError
from opensloth_core.launch.process import ProcessFailed
from opensloth_core.runs.directory import RunDirectory
from tasks.failed import sentence

KILLED = "rank 1 was killed by SIGKILL (it had used up to 1.2 of 8.0 GiB of memory; memory may have run out)"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    (tmp_path / "sft-a" / "logs").mkdir(parents=True)
    return RunDirectory(tmp_path / "sft-a")


def test_a_mistake_of_the_user_is_said_as_it_is(run: RunDirectory) -> None:
    message = 'train.jsonl:17: no "messages" key; rename the keys'
    assert sentence(DataError(message), run) == message
    assert sentence(DataError(message), None) == message


def test_a_killed_rank_is_named_with_its_own_log_and_without_its_last_lines(run: RunDirectory) -> None:
    error = ProcessFailed(f"{KILLED}; its last lines:\n    loading\n    step 3")
    assert sentence(error, run) == f"{KILLED}; log: {run.log_path(1)}"


def test_what_concerns_all_ranks_names_the_folder_of_their_logs(run: RunDirectory) -> None:
    error = TrainingError("the loss is not a number at step 7\n  lower learning_rate")
    logs = run.path / "logs"
    assert sentence(error, run) == f"the loss is not a number at step 7; lower learning_rate; log: {logs}"


def test_a_bug_is_called_one(run: RunDirectory) -> None:
    told = sentence(KeyError("seq\nlengths"), run)
    assert told.startswith("a bug in OpenSloth: KeyError: ") and "\n" not in told and str(run.path) in told


def test_no_error_of_ours_becomes_more_than_one_line(run: RunDirectory) -> None:
    for kind in OpenSlothError.__subclasses__():
        assert "\n" not in sentence(kind("one\ntwo\n\nthree"), run)
