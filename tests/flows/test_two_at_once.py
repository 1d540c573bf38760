"""Several commands on one machine: nothing of theirs collides, and they take turns on too few devices."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opensloth_core.launch.queue import Ticket
from opensloth_core.launch.slots import Holder, Reservation, Slots
from opensloth_core.launch.wish import Wish
from opensloth_core.runs.events import read_events
from tests.flows.conftest import Start
from tests.flows.test_finetune import only_run, pids_of, seen_in_prefect, states

pytestmark = [pytest.mark.slow, pytest.mark.timeout(550)]

TROUBLE = re.compile(r"database is locked|OperationalError|StaleData|Traceback")


@pytest.fixture
def slots_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slots of this test's own, on a machine without GPUs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OPENSLOTH_SLOTS_DIR", str(tmp_path / "slots"))
    return tmp_path / "slots"


@pytest.fixture
def four(
    home: Path, slots_dir: Path, tiny_model_dir: Path, chat_data: Path, tmp_path: Path
) -> Iterator[list[subprocess.Popen[str]]]:
    """Four commands of the same second, without a server and with a new database; two may train at once."""
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {
        "OPENSLOTH_CPU_SLOTS": "2",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        # What the servers would keep to themselves.
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_LOG_RETRYABLE_ERRORS": "true",
    }
    command = [sys.executable, "-m", "flows.cli", "sft", chat_data, "--model", tiny_model_dir, "--gpus", "1"]
    command += ["--max-seq-length", "192", "--max-steps", "1", "--eval-generations", "0"]
    started = [
        subprocess.Popen(
            [str(word) for word in command],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / f"{number}.err").open("w"),
            text=True,
        )
        for number in range(4)
    ]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_four_commands_of_the_same_second_succeed_two_by_two(
    four: list[subprocess.Popen[str]], home: Path, tmp_path: Path
) -> None:
    outs = [process.communicate(timeout=500)[0] for process in four]
    errs = [(tmp_path / f"{number}.err").read_text() for number in range(4)]
    assert [process.returncode for process in four] == [0, 0, 0, 0], "\n".join(errs)
    for text in errs + [path.read_text() for path in home.glob("runs/*/logs/*")]:
        assert not TROUBLE.search(text), text
    assert not any("did not end well" in err for err in errs)

    runs = sorted((home / "runs").iterdir())
    assert len(runs) == 4
    assert all(sum(str(run / "adapter") in out for out in outs) == 1 for run in runs)
    assert all((run / "adapter" / "adapter_config.json").exists() for run in runs)
    waited = [
        err for err in errs if "waiting for a CPU slot: cpu:0 is used by run sft-tiny_llama-colours-" in err
    ]
    assert len(waited) == 2 and all("got cpu:" in err for err in waited)
    assert most_at_once(runs) == 2


def most_at_once(runs: list[Path]) -> int:
    """How many ranks there were at the same time, from their start to when their result was saved."""
    changes = []
    for run in runs:
        times = {e["name"]: e["time"] for e in read_events(run / "events.jsonl") if e["kind"] == "mark"}
        changes += [(times["started"], 1), (times["saved"], -1)]
    return max(sum(change for _, change in sorted(changes)[: end + 1]) for end in range(len(changes)))


async def test_ctrl_c_ends_a_command_that_waits_at_once(
    os_train: Start,
    home: Path,
    slots_dir: Path,
    tiny_model_dir: Path,
    chat_data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENSLOTH_CPU_SLOTS", "1")
    other = Ticket(Slots(slots_dir), Holder("run of another", os.getpid()))
    held = other.ask(Wish(("cpu:0",), (1,)))
    assert isinstance(held, Reservation)
    process = os_train("sft", chat_data, "--model", tiny_model_dir, "--gpus", 1, "--max-seq-length", 192)
    line = f"waiting for a CPU slot: cpu:0 is used by run of another (process {os.getpid()})"
    run_dir = wait_for_message(home, process, line)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130, err
    assert line in err and "waiting" not in err.split(line)[1]
    assert states(run_dir) == ["created", "cancelled"]
    flow_run, tasks, _ = await seen_in_prefect(run_dir)
    assert flow_run.state_name == "Cancelled" and "prepare" not in tasks
    assert pids_of(run_dir) == [] and list((slots_dir / "queue").iterdir()) == []
    held.release()


def wait_for_message(home: Path, process: subprocess.Popen[str], text: str) -> Path:
    """The run's directory, once it has said something."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for path in home.glob("runs/*/events.jsonl"):
            if any(event.get("text") == text for event in read_events(path)):
                return only_run(home)
        time.sleep(0.1)
    raise AssertionError(f"never said: {text}; stderr:\n{process.communicate()[1]}")
