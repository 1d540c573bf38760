"""Real processes that ask for the same data at once: one makes it, the others wait and say for whom."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.errors import StoreError
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepared import find_prepared, prepared_key
from opensloth_core.store.single_flight import Asker, single_flight

NUM_PROCESSES = 8
NUM_ROUNDS = 50

# Prepares what each line of its input says, and answers what it did in a line. With "hold" it stops half way,
# in the middle of writing shards, until it gets one more line.
ASK = """
import json, sys
from pathlib import Path
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepared import prepared_key
from opensloth_core.store.single_flight import Asker

def answer(**values):
    print(json.dumps(values), flush=True)

for line in sys.stdin:
    wish = json.loads(line)
    config = DatasetPrepConfig(data=wish["data"], model=sys.argv[1], max_seq_length=128)
    phases = set()

    def progress(phase, done, total):
        if wish.get("hold") == phase and phase not in phases:
            answer(holds=phase)
            sys.stdin.readline()
        phases.add(phase)

    asker = Asker(f"run {sys.argv[2]}", lambda text: answer(says=text))
    key = prepared_key(config, Path(sys.argv[1]), wish["shards"])
    manifest, was_there = obtain(config, Path(sys.argv[1]), wish["shards"], key, progress, asker)
    answer(key=manifest.key, made=not was_there, tokenized="tokenize" in phases)
"""


class Process:
    """A process that asks the store for data."""

    def __init__(self, name: str, model_dir: Path, home: Path) -> None:
        self.name = name
        self.popen = subprocess.Popen(
            [sys.executable, "-c", ASK, str(model_dir), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OPENSLOTH_HOME": str(home)},
        )

    def ask(self, data: Path, shards: int = 2, hold: str | None = None) -> None:
        self.send({"data": str(data), "shards": shards, "hold": hold})

    def send(self, value: object) -> None:
        assert self.popen.stdin
        self.popen.stdin.write(json.dumps(value) + "\n")
        self.popen.stdin.flush()

    def next(self) -> dict[str, Any]:
        """The next line it prints."""
        assert self.popen.stdout
        answer: dict[str, Any] = json.loads(self.popen.stdout.readline())
        return answer

    def result(self) -> tuple[dict[str, Any], list[str]]:
        """What it did, and what it said meanwhile."""
        said = []
        while "key" not in (answer := self.next()):
            said.append(answer["says"])
        return answer, said


Start = Callable[[str], Process]


@pytest.fixture
def start(config: DatasetPrepConfig, home: Path) -> Iterator[Start]:
    """Starts processes that ask; the store has read the tokenizer already, which takes seconds."""
    model_dir = Path(config.model)
    obtain(config, model_dir, 3, prepared_key(config, model_dir, 3))
    started: list[Process] = []

    def start(name: str) -> Process:
        started.append(Process(name, model_dir, home))
        return started[-1]

    yield start
    for process in started:
        process.popen.kill()
        process.popen.communicate()


def write_rows(path: Path, first: int) -> Path:
    rows = [{"question": f"What is {first + n}?", "answer": f"It is {first + n}."} for n in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def whole(key: str) -> bool:
    return find_prepared(key, in_full=True)[0] is not None


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_of_eight_processes_that_ask_at_once_one_prepares_and_one_tokenizes_in_every_round(
    start: Start, tmp_path: Path, home: Path
) -> None:
    """Half of them want one shard and half of them two, which is other data made of the same tokens."""
    processes = [start(f"r{number}") for number in range(NUM_PROCESSES)]
    num_waits = 0
    for number in range(NUM_ROUNDS):
        data = write_rows(tmp_path / f"{number}.jsonl", 1000 * number)
        for place, process in enumerate(processes):
            process.ask(data, shards=1 + place % 2)
        results = [process.result() for process in processes]
        for shards in (0, 1):
            answers = [answer for answer, _ in results[shards::2]]
            (key,) = {answer["key"] for answer in answers}
            assert sum(answer["made"] for answer in answers) == 1, (number, answers)
            assert whole(key)
        assert sum(answer["tokenized"] for answer, _ in results) == 1
        num_waits += sum(any("waiting for run r" in line for line in said) for _, said in results)
    # The rounds were races, and not one process after the other.
    assert num_waits > NUM_ROUNDS
    for level, num_artifacts in (("prepared", 2 * NUM_ROUNDS + 1), ("tokens", NUM_ROUNDS + 1)):
        names = [path.name for path in (home / "store" / level).iterdir()]
        assert len([name for name in names if not name.startswith(".")]) == num_artifacts
        assert [name for name in names if name.startswith(".")] == [".lock"]


def test_who_waits_says_for_whom_and_another_takes_over_when_the_holder_is_killed(
    start: Start, tmp_path: Path, home: Path
) -> None:
    data = write_rows(tmp_path / "data.jsonl", 0)
    holder, *others = (start(name) for name in ("a", "b", "c"))
    holder.ask(data, hold="write")
    assert holder.next() == {"holds": "write"}
    waits = {"says": f"waiting for run a (process {holder.popen.pid}), which prepares the same data"}
    for process in others:
        process.ask(data)
        assert process.next() == waits
    assert list((home / "store" / "prepared").glob(".staging-*"))

    holder.popen.kill()
    killed = time.monotonic()
    results = [process.result() for process in others]
    assert time.monotonic() - killed < 10
    assert sorted(answer["made"] for answer, _ in results) == [False, True]
    for process, other, (answer, said) in zip(others, others[::-1], results, strict=True):
        took_over = [f"run a (process {holder.popen.pid}) ended before it was done; taking over"]
        waited = [
            f"waiting for run {other.name} (process {other.popen.pid}), which prepares the same data",
            f"run {other.name} (process {other.popen.pid}) is done",
        ]
        # Who comes last may find it done before it sees whose work it was.
        late = [f"run a (process {holder.popen.pid}) is done"]
        assert said == took_over if answer["made"] else said in (waited, late), process.name
        assert whole(answer["key"])
    assert not list((home / "store" / "prepared").glob(".staging-*"))


def test_tokens_are_waited_for_though_the_prepared_data_is_other(start: Start, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "data.jsonl", 0)
    holder, other = start("a"), start("b")
    holder.ask(data, shards=1, hold="tokenize")
    assert holder.next() == {"holds": "tokenize"}
    other.ask(data, shards=2)
    name = f"run a (process {holder.popen.pid})"
    assert other.next() == {"says": f"waiting for {name}, which tokenizes the same rows"}
    holder.send("go on")
    (first, _), (second, said) = holder.result(), other.result()
    assert said == [f"{name} is done"]
    assert first["made"] and second["made"] and first["key"] != second["key"]
    assert first["tokenized"] and not second["tokenized"]


def test_a_stopped_holder_is_waited_for_which_is_said_and_is_right_when_it_goes_on(
    start: Start, tmp_path: Path
) -> None:
    data = write_rows(tmp_path / "data.jsonl", 0)
    holder, other = start("a"), start("b")
    holder.ask(data, hold="write")
    assert holder.next() == {"holds": "write"}
    holder.popen.send_signal(signal.SIGSTOP)
    other.ask(data)
    pid = holder.popen.pid
    assert other.next() == {
        "says": f"waiting for run a (process {pid}), which prepares the same data but is stopped: "
        f"kill -CONT {pid} lets it go on, kill -KILL {pid} has another take over"
    }
    holder.popen.send_signal(signal.SIGCONT)
    assert other.next() == {"says": f"waiting for run a (process {pid}), which prepares the same data"}
    holder.send("go on")
    (first, _), (second, said) = holder.result(), other.result()
    assert (first["made"], second["made"]) == (True, False)
    assert said == [f"run a (process {pid}) is done"]
    assert whole(first["key"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_waits_can_be_interrupted(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    data = write_rows(tmp_path / "data.jsonl", 0)
    holder, other = start("a"), start("b")
    holder.ask(data, hold="write")
    holder.next()
    other.ask(data)
    assert "waiting for run a" in other.next()["says"]
    other.popen.send_signal(number)
    assert other.popen.wait(timeout=5) == -number
    holder.send("go on")
    assert holder.result()[0]["made"]


def test_waiting_is_not_busy_and_its_first_line_names_the_holder(home: Path) -> None:
    said: list[str] = []
    waited: list[str | None] = []

    def wait() -> None:
        with single_flight("work", Asker("second", said.append), "does it") as waited_for:
            waited.append(waited_for)

    with single_flight("work", Asker("first"), "does it") as waited_for:
        assert waited_for is None
        thread = threading.Thread(target=wait)
        used = time.process_time()
        thread.start()
        time.sleep(1.5)
        # Looks at 0.02, 0.06, 0.14, 0.3, 0.62 and 1.12 s.
        assert time.process_time() - used < 0.1
    thread.join(timeout=5)
    name = f"first (process {os.getpid()})"
    assert (said, waited) == ([f"waiting for {name}, which does it"], [name])


def test_a_long_wait_is_said_again_and_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opensloth_core.store.single_flight.SAY_AGAIN_SECONDS", 0.1)
    said: list[str] = []

    def wait() -> None:
        with single_flight("work", Asker("second", said.append), "does it"):
            pass

    with single_flight("work", Asker("first"), "does it"):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(1)
    thread.join(timeout=5)
    line = f"waiting for first (process {os.getpid()}), which does it"
    # After 0.14, 0.3 and 0.62 s: the first looks beyond 0.1, 0.2 and 0.4.
    assert said == [line] + 3 * [f"{line}: 0 min so far"]


def test_what_a_killed_holder_wrote_about_itself_names_nobody_afterwards(home: Path) -> None:
    """Its file says who it was; the next holder writes over it, and who ends in order leaves nothing."""
    path = home / "store" / "locks" / "work.lock"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"name": "run of old with a long name", "process": 1, "host": "elsewhere"}))
    with single_flight("work", Asker("new"), "does it") as waited_for:
        assert waited_for is None
        assert json.loads(path.read_text())["name"] == "new"
    assert path.read_text() == ""


def test_a_place_without_a_folder_for_locks_is_one_clear_error(home: Path) -> None:
    home.mkdir()
    (home / "store").write_text("")
    with pytest.raises(StoreError) as caught, single_flight("work", Asker(), "does it"):
        pass
    assert str(caught.value) == (
        f"{home}/store/locks/work.lock: cannot be locked: Not a directory; make room, "
        "or set OPENSLOTH_HOME to a folder you can write, on a file system that has locks"
    )
