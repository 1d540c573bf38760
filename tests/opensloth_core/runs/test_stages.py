"""What a stage of a run is said to take, by the run before."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.stages import enter_stage


def new_run(**changes: Any) -> RunDirectory:
    run = RunDirectory.create(OpenSlothConfig.of({"data": "d.jsonl", "model": "m", "gpus": 1} | changes))
    run.write_launch(Launch("m", ("cpu",), "k"))
    return run


def completed_run(**changes: Any) -> RunDirectory:
    """0 to 20 s started, imported and loaded; waits for data until 100 s; 5 s more; saves for 3 s."""
    run = new_run(**changes)
    marks = {"started": 0, "imported": 15, "loaded": 20, "data": 100, "joined": 101, "ready": 105}
    events = [{"time": 1000.0 + at, "kind": "mark", "rank": 0, "name": name} for name, at in marks.items()]
    events += [{"time": 1200.0, "kind": "mark", "rank": 0, "name": "trained"}]
    events += [{"time": 1202.0, "kind": "result", "steps": 1}]
    events += [{"time": 1203.0, "kind": "mark", "rank": 0, "name": "saved"}]
    run.events.path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return run


def expected(run: RunDirectory, stage: Any) -> float | None:
    enter_stage(run, stage)
    last = read_events(run.events.path)[-1]
    assert (last["kind"], last["state"]) == ("state", stage)
    seconds: float | None = last.get("expected_seconds")
    return seconds


def test_a_stage_takes_what_it_took_without_the_wait_for_data(home: Path) -> None:
    completed_run()
    run = new_run()
    assert expected(run, "warming") == 25.0
    assert expected(run, "saving") == 3.0


def test_what_the_ranks_did_beside_the_preparation_is_over(home: Path) -> None:
    completed_run()
    run = new_run()
    run.events.write("mark", rank=0, name="started")
    text = run.events.path.read_text().splitlines()
    begun = json.loads(text[-1]) | {"time": time.time() - 10}
    run.events.path.write_text("\n".join([*text[:-1], json.dumps(begun)]) + "\n")
    assert expected(run, "warming") == pytest.approx(15.0, abs=1.0)
    begun["time"] -= 60
    run.events.path.write_text(json.dumps(begun) + "\n")
    assert expected(run, "warming") == 1.0


def test_another_model_and_a_run_that_failed_say_nothing(home: Path) -> None:
    completed_run(model="other")
    failed = completed_run()
    kept = [line for line in failed.events.path.read_text().splitlines() if '"result"' not in line]
    failed.events.path.write_text("\n".join(kept) + "\n")
    assert expected(new_run(), "warming") is None
