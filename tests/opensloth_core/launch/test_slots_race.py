"""Real processes race for slots, and one of them is killed in every round."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROUNDS = 50
FREED_SECONDS = 2.0
"""Milliseconds on an idle machine; a limit for a busy one."""

WISHES = [
    (["a"], [1]),
    (["a", "b", "c", "d"], [1]),
    (["a", "b", "c", "d"], [2]),
    (["d", "a"], [2]),
    (["a", "b", "c", "d"], [4, 3, 2, 1]),
]

WORKER = """
import fcntl, json, os, random, sys, time
from pathlib import Path
from opensloth_core.launch.queue import Ticket
from opensloth_core.launch.slots import Busy, Holder, Reservation, Slots
from opensloth_core.launch.wish import Wish

folder, name, devices, sizes = json.loads(sys.argv[1])
folder = Path(folder)
# Another kind of lock tells whether two hold a device. Opened before the slots, so that a process that is
# killed lets go of it before it lets go of them.
witness = {device: os.open(folder / f"witness-{device}", os.O_RDWR | os.O_CREAT) for device in "abcd"}
log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
slots = Slots(folder / "slots")
print("up", flush=True)
sys.stdin.readline()
while not (folder / "stop").exists():
    ticket = Ticket(slots, Holder(name, os.getpid()))
    while True:
        try:
            answer = ticket.ask(Wish(tuple(devices), tuple(sizes)))
        except Busy:
            continue
        if isinstance(answer, Reservation):
            break
        time.sleep(0.002)
    for device in answer.devices:
        fcntl.lockf(witness[device], fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(log, json.dumps([time.time(), name, answer.devices]).encode() + b"\\n")
    if name == "victim":
        print("held", flush=True)
        time.sleep(600)
    time.sleep(random.uniform(0, 0.002))
    for device in answer.devices:
        fcntl.lockf(witness[device], fcntl.LOCK_UN)
    answer.release()
"""


def start(folder: Path, name: str, devices: list[str], sizes: list[int]) -> subprocess.Popen[str]:
    arguments = json.dumps([str(folder), name, devices, sizes])
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert answer(process) == "up"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None and process.stderr is not None
    return process.stdout.readline().strip() or process.stderr.read()


def log(folder: Path) -> list[tuple[float, str, list[str]]]:
    whole = (folder / "log").read_text().rpartition("\n")[0]
    return [tuple(json.loads(line)) for line in whole.splitlines()]


@pytest.fixture
def competitors(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that take and release slots over and over, each another number of them."""
    started = [start(tmp_path, f"worker {number}", *wish) for number, wish in enumerate(WISHES)]
    for process in started:
        go(process)
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.timeout(300)
def test_no_device_has_two_holders_and_a_killed_one_frees_its_devices_at_once(
    tmp_path: Path, competitors: list[subprocess.Popen[str]]
) -> None:
    waits = []
    for _ in range(ROUNDS):
        # It asks for all there is, and gets it although five others come again and again.
        victim = start(tmp_path, "victim", ["a", "b", "c", "d"], [4])
        go(victim)
        assert answer(victim) == "held"
        taken = len(log(tmp_path))
        victim.kill()
        killed = time.time()
        while len(log(tmp_path)) == taken:
            assert time.time() - killed < 60, "nobody gets what the killed process held"
            time.sleep(0.001)
        waits.append(log(tmp_path)[taken][0] - killed)
        victim.communicate()
        assert all(process.poll() is None for process in competitors), "a device had two holders"
    assert max(waits) < FREED_SECONDS, waits
    (tmp_path / "stop").touch()
    for process in competitors:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    turns = [name for _, name, _ in log(tmp_path)]
    assert turns.count("victim") == ROUNDS
    for number in range(len(WISHES)):
        assert turns.count(f"worker {number}") > ROUNDS, "somebody starves"
