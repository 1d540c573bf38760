"""A run that nobody drives any more is not said to go on for ever."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.abandoned import mark_abandoned
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.find import last_state
from opensloth_core.runs.lock import run_lock
from opensloth_core.runs.resume import resume_line

DRIVE = """
import sys, time
from pathlib import Path
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.lock import run_lock
run = RunDirectory(Path(sys.argv[1]))
with run_lock(run):
    run.events.state("training")
    time.sleep(60)
"""


@pytest.fixture
def run(home: Path) -> RunDirectory:
    return RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": "m"}))


def test_a_run_whose_process_was_killed_is_marked_once_and_says_how_to_go_on(run: RunDirectory) -> None:
    driver = subprocess.Popen([sys.executable, "-c", DRIVE, str(run.path)])
    while last_state(run) != "training":
        assert driver.poll() is None
        time.sleep(0.05)
    assert mark_abandoned() == []
    driver.kill()
    driver.wait()
    with run.events_path.open("ab") as log:
        log.write(b'{"time": 1, "kind": "st')
    assert [found.path for found in mark_abandoned()] == [run.path]
    last = read_events(run.events_path)[-1]
    assert last["state"] == "crashed"
    way_out = f"to go on with this run from the start: --resume {run.path.name}"
    assert last["message"] == f"the process that drove it was killed; {way_out}"
    assert mark_abandoned() == []


CREATE = """
import sys
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
run = RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": "m"}))
print(run.path, flush=True)
sys.stdin.read()
"""


def test_a_run_whose_command_was_killed_before_it_began_is_marked(home: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", CREATE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    run = RunDirectory(Path(command.stdout.readline().strip()))
    assert mark_abandoned() == []
    command.kill()
    command.communicate()
    assert [found.path for found in mark_abandoned()] == [run.path]
    last = read_events(run.events_path)[-1]
    way_out = f"to go on with this run from the start: --resume {run.path.name}"
    assert last["message"] == f"nobody began with it; the command that created it was killed; {way_out}"
    assert mark_abandoned() == []


def test_a_run_that_goes_on_again_while_it_is_judged_is_not_marked(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_lock(run):
        run.events.state("training")

    with contextlib.ExitStack() as again:

        def take_up(run: RunDirectory) -> str:
            again.enter_context(run_lock(run))
            return resume_line(run)

        # Its words are made after it was judged, and before they are written.
        monkeypatch.setattr("opensloth_core.runs.abandoned.resume_line", take_up)
        assert mark_abandoned() == []
        assert last_state(run) == "training"
        run.events.state("completed")
    monkeypatch.undo()
    assert mark_abandoned() == []


def test_runs_that_ended_or_have_not_begun_stay_as_they_are(run: RunDirectory) -> None:
    assert mark_abandoned() == []
    with run_lock(run):
        run.events.state("failed", "a mistake")
    assert mark_abandoned() == []
    assert last_state(run) == "failed"
