"""Plays one cell and says what became of it."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from opensloth_core.runs.events import read_events
from tests.kills.cells import Cell
from tests.kills.prefect_states import states_in_prefect
from tests.kills.processes import find, left_after, processes_of, send
from tests.kills.stage import ROOT, Stage

FINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


@dataclass
class Outcome:
    """What became of a cell; it is as it should be when nothing is `wrong`."""

    cell: Cell
    hit: str = ""
    """State of the run when the signal was sent."""

    end: str = ""
    """How the run has to end; as the matrix says when empty."""

    code: int | None = None
    """Exit code of the command."""

    record: str = ""
    prefect: str = ""
    left: list[str] = field(default_factory=list)
    resumed: str = "-"
    adapter: str = "-"
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def digest(run_dir: Path) -> str:
    """The bytes of a run's adapter."""
    return hashlib.sha256((run_dir / "adapter" / "adapter_model.safetensors").read_bytes()).hexdigest()[:12]


def last_state(run_dir: Path) -> str:
    return [e["state"] for e in read_events(run_dir / "events.jsonl") if e["kind"] == "state"][-1]


def play(
    cell: Cell,
    stage: Stage,
    baseline: str | None,
    pause_seconds: float | None,
    outside: int | None = None,
    end: str = "",
) -> Outcome:
    """Play a cell whose run is started by the command.

    Args:
        baseline: digest of the adapter of an undisturbed run; a run that did not end well is not gone on
            with when None.
        pause_seconds: how long SIGSTOP lasts; for ever when None.
        outside: the process of the server that the run uses, where it has none of its own.
        end: how the run has to end, where that is not as the matrix says.
    """
    began = time.monotonic()
    outcome = Outcome(cell, end=end or cell.end)
    process = stage.start()
    try:
        followed = stage.follow()
        followed.wait_for(cell.moment, process)
        victims = wait_for_victims(cell, stage, process.pid, outside)
        followed.look()
        outcome.hit = followed.state
        strike(cell, victims, pause_seconds)
        try:
            outcome.code = process.wait(timeout=300)
        except subprocess.TimeoutExpired:
            outcome.wrong.append("the command did not end")
        outcome.left = left_after(stage.mark, 10)
    finally:
        send(processes_of(stage.mark), signal.SIGKILL)
        process.wait()
    judge(outcome, stage, baseline)
    outcome.seconds = time.monotonic() - began
    return outcome


def wait_for_victims(cell: Cell, stage: Stage, command: int, outside: int | None) -> list[int]:
    """The processes that get the signal, once they are there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = _victims(cell.process, stage, command, outside)
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"no {cell.process}")


def _victims(process: str, stage: Stage, command: int, outside: int | None) -> list[int]:
    if process == "all":
        return processes_of(stage.mark)
    found = {
        "flow": lambda: command,
        "outside": lambda: outside,
        "prepare": lambda: find(stage.mark, "prepare_worker"),
        "rank0": lambda: find(stage.mark, "training.worker", "RANK=0"),
        "rank1": lambda: find(stage.mark, "training.worker", "RANK=1"),
        "server": lambda: find(stage.mark, "flows.own_server"),
    }[process]()
    return [found] if found is not None else []


def strike(cell: Cell, victims: list[int], pause_seconds: float | None) -> None:
    """Send the signal; whoever is stopped goes on after the pause."""
    send(victims, cell.number)
    if cell.number == signal.SIGSTOP and pause_seconds is not None:
        time.sleep(pause_seconds)
        send(victims, signal.SIGCONT)


def judge(outcome: Outcome, stage: Stage, baseline: str | None) -> None:
    """Compare what became of the run with what has to, and go on with it where it did not end well."""
    cell, (run_dir, *_) = outcome.cell, stage.run_dirs
    assert stage.prefect_home is not None
    if outcome.left:
        outcome.wrong.append(f"still there after 10 s: {outcome.left}")
    if outcome.end == "crashed":
        mark_as_the_next_start_does(stage)
    outcome.record = last_state(run_dir)
    states = states_in_prefect(stage.prefect_home, run_dir)
    outcome.prefect = states.get("flow 1", "-").capitalize()
    if outcome.record != outcome.end:
        outcome.wrong.append(f"ended {outcome.record} instead of {outcome.end}")
    if cell.process != "outside" and outcome.prefect.lower() != outcome.record:
        outcome.wrong.append(f"the record says {outcome.record}, Prefect {outcome.prefect}")
    unfinished = {name: state for name, state in states.items() if state not in FINAL}
    if unfinished and cell.process != "outside":
        outcome.wrong.append(f"unfinished in Prefect: {unfinished}")
    if outcome.record == "completed":
        outcome.adapter = _compared(run_dir, baseline, outcome)
    elif baseline is not None:
        _go_on(outcome, stage, baseline)


def mark_as_the_next_start_does(stage: Stage) -> None:
    """Have the runs that were killed marked, as every start does."""
    code = "import asyncio; from tasks.mark_crashed import mark_crashed; asyncio.run(mark_crashed())"
    subprocess.run([sys.executable, "-c", code], env=stage.environment, cwd=ROOT, check=True, timeout=120)


def _go_on(outcome: Outcome, stage: Stage, baseline: str) -> None:
    """A plain rerun says how to resume, and reuses the data; `--resume auto` ends in the same adapter."""
    (run_dir,) = stage.run_dirs
    had_data = any((stage.home / "store" / "prepared").glob("[!.]*/manifest.json"))
    line = _line_of_a_rerun(stage)
    if f"--resume {run_dir.name}" not in line:
        outcome.wrong.append(f"a rerun said {line!r}")
    process = stage.start("--resume", "auto")
    try:
        code = process.wait(timeout=300)
    finally:
        send(processes_of(stage.mark), signal.SIGKILL)
        process.wait()
    events = read_events(run_dir / "events.jsonl")
    outcome.resumed = "after step " + str([e["step"] for e in events if e["kind"] == "resumed"][-1:])[1:-1]
    if outcome.resumed == "after step ":
        outcome.resumed = "from the start"
    if code != 0 or last_state(run_dir) != "completed":
        outcome.wrong.append(f"--resume auto ended {last_state(run_dir)}, code {code}")
        return
    if had_data and not [e for e in events if e["kind"] == "prepared"][-1]["cached"]:
        outcome.wrong.append("the data was prepared again")
    assert stage.prefect_home is not None
    states = states_in_prefect(stage.prefect_home, run_dir)
    if unfinished := {name: state for name, state in states.items() if state not in FINAL}:
        outcome.wrong.append(f"unfinished in Prefect after resuming: {unfinished}")
    outcome.adapter = _compared(run_dir, baseline, outcome)


def _line_of_a_rerun(stage: Stage) -> str:
    """What a new run of the same command is told first; the run is removed again."""
    code = (
        "import json, os, shutil; from opensloth_core.config.opensloth import OpenSlothConfig;"
        "from opensloth_core.runs.events import read_events; from opensloth_core.runs.resume import open_run;"
        "run = open_run(OpenSlothConfig.of(json.loads(os.environ['CONFIG'])), None);"
        "print([e['text'] for e in read_events(run.events_path) if e['kind'] == 'message']);"
        "shutil.rmtree(run.path)"
    )
    environment = {**stage.environment, "CONFIG": json.dumps(stage.config)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def _compared(run_dir: Path, baseline: str | None, outcome: Outcome) -> str:
    if baseline is None:
        return "-"
    if digest(run_dir) != baseline:
        outcome.wrong.append("another adapter than that of an undisturbed run")
        return "differs"
    return "same"
