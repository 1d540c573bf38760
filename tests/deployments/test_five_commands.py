"""deployments/README.md's five commands as they are written, and the life of the server that they start."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(580)]

PROGRAMS = """
pip() { :; }
uv() { shift; [ "$1" = --extra ] && shift 2; "$@"; }
os-train() { PYTHON -m flows.cli "$@"; }
prefect() { PYTHON -m prefect "$@"; }
set -e
"""
"""What the commands call; the environment is installed already."""


class Machine:
    """A user's shell, with homes, a port, data and a model of its own."""

    def __init__(self, folder: Path, model: Path, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.folder, self.home, self.model = folder, folder / "home", model
        (folder / "data").mkdir()
        rows = data.read_text().splitlines(keepends=True)
        (folder / "data" / "my_data.jsonl").write_text("".join(rows[:4]))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        self.environment = {
            **kept,
            "OPENSLOTH_HOME": str(self.home),
            "PREFECT_HOME": str(folder / "prefect"),
            "OPENSLOTH_SLOTS_DIR": str(folder / "slots"),
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": str(ROOT),
        }
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
            self.environment.pop(name, None)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def as_here(self, commands: str) -> str:
        """README's commands with this machine's folders, port and model in the place of README's."""
        here = commands.replace("/data", str(self.folder / "data")).replace("4200", str(self.port))
        here = here.replace("server start", f"server start --port {self.port} --root {self.model.parent}")
        return here.replace("model=embedded", f"model={self.model}")

    def bash(self, commands: str) -> str:
        """What commands print, all of which have to succeed."""
        script = PROGRAMS.replace("PYTHON", sys.executable) + commands
        done = subprocess.run(
            ["bash", "-c", script], env=self.environment, cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """`os-train` in the background."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *words],
            env=self.environment,
            cwd=self.folder / "data",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def os_train(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=400)
        return process.returncode, out + err

    def logs(self) -> str:
        return "".join(path.read_text()[-3000:] for path in self.home.glob("server/*.log"))

    def states(self) -> dict[str, str]:
        """State of every flow run, by id."""
        found = httpx.post(f"{self.api}/flow_runs/filter", json={}).json()
        return {run["id"]: run["state_type"] for run in found if run["parent_task_run_id"] is None}


@pytest.fixture
def machine(tmp_path: Path, tiny_model_dir: Path, chat_data: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, tiny_model_dir, chat_data)
    yield machine
    machine.os_train("server", "stop")


def test_the_five_commands_lead_to_a_run_and_stop_ends_one_that_goes_on(machine: Machine) -> None:
    readme = (ROOT / "deployments" / "README.md").read_text()
    block = re.findall(r"```bash\n(.*?)```", readme, re.DOTALL)[0]
    assert len(block.strip().splitlines()) == 5

    out = machine.bash(machine.as_here(block))
    assert out.strip().splitlines()[-1] == f"http://127.0.0.1:{machine.port}"

    code, text = machine.os_train("server", "status", "--json")
    status = json.loads(text)
    assert (code, status["up"], status["address"]) == (0, True, machine.api)
    deployments = httpx.post(f"{machine.api}/deployments/filter", json={}).json()
    assert {entry["name"] for entry in deployments} == {"local", "local-data"}

    # The same by --remote, whose paths are those of its working directory; its exit code is the run's.
    flags = ["--gpus", "1", "--max-seq-length", "192", "--eval-generations", "0"]
    wanted = ["sft", "my_data.jsonl", "--model", str(machine.model), *flags, "--remote"]
    code, text = machine.os_train(*wanted, "--max-steps", "2")
    assert code == 0, text + machine.logs()
    assert f"Page  http://127.0.0.1:{machine.port}/runs/flow-run/" in text and "completed after" in text
    lines = [line for line in text.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    clocks = [line[:8] for line in lines]
    assert sum("rank 0 of 1 on cpu, process" in line for line in lines) == 1 and clocks == sorted(clocks)
    deadline = time.monotonic() + 200
    while set(machine.states().values()) != {"COMPLETED"} and time.monotonic() < deadline:
        time.sleep(0.5)
    assert list(machine.states().values()) == ["COMPLETED"] * 2, machine.logs()

    # What no form has is refused before a run exists, as from the page.
    (sft,) = (entry for entry in deployments if "sft" in entry["tags"])
    given = {"data": "my_data.jsonl", "model": str(machine.model), "lerning_rate": 1e-4}
    answer = httpx.post(f"{machine.api}/deployments/{sft['id']}/create_flow_run", json={"parameters": given})
    assert answer.status_code == 409 and "lerning_rate" in answer.text
    assert len(machine.states()) == 2

    code, text = machine.os_train("sft", "/etc/passwd", *wanted[2:])
    assert code == 2 and "leads outside" in text and "os-train server start --root" in text

    going = machine.start(*wanted, "--max-steps", "2000")
    run_dir = wait_for_step(machine)
    process = int((run_dir / "lock").read_text()) if (run_dir / "lock").exists() else None
    code, text = machine.os_train("server", "stop")
    assert (code, "The server is stopped" in text) == (0, True), text + machine.logs()
    assert going.wait(60) == 130, going.communicate()
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    assert [e["state"] for e in events if e["kind"] == "state"][-1] == "cancelled"
    pids = [status["processes"]["server"], status["processes"]["worker"], process]
    pids += [e["pid"] for e in events if e["kind"] == "mark" and "pid" in e]
    assert not [pid for pid in pids if pid and Path(f"/proc/{pid}").exists()]
    assert machine.os_train("server", "status")[0] == 3


def wait_for_step(machine: Machine) -> Path:
    """The newest run's directory, once it trains."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        runs = sorted(machine.home.glob("runs/*"), key=lambda path: path.stat().st_mtime)
        for run in runs[-1:]:
            events = run / "events.jsonl"
            if len(runs) == 3 and events.exists() and '"kind": "step"' in events.read_text():
                return run
        time.sleep(0.2)
    raise AssertionError("the run never trained:" + machine.logs())


def test_of_two_starts_one_wins_and_a_killed_keeper_takes_server_and_worker_with_it(machine: Machine) -> None:
    both = [machine.start("server", "start", "--port", str(machine.port)) for _ in range(2)]
    texts = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], machine.logs()
    assert sorted("The server is up already" in text for text in texts) == [False, True]
    processes = json.loads(machine.os_train("server", "status", "--json")[1])["processes"]
    os.kill(processes["keeper"], signal.SIGKILL)
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in processes.values()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [name for name, pid in processes.items() if Path(f"/proc/{pid}").exists()]
    assert machine.os_train("server", "status")[0] == 3
