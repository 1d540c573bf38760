"""Real processes as machines that share a store: races, paused and killed holders, uploads cut off."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.store.remote.listing import collect_abandoned, list_artifacts
from opensloth_core.store.remote.place import open_objects

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NUM_MACHINES = 4
NUM_ROUNDS = 50
TAKE_OVER_SECONDS = 30


class Machine:
    """A process that asks for artifacts."""

    def __init__(self, url: str, folder: Path, timing: str) -> None:
        folder.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("machine.py")), url, str(folder), timing],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self.answer("ready")["ready"] is True

    def ask(self, **wish: object) -> None:
        self.write(json.dumps(wish))

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")

    def answer(self, *names: str) -> dict[str, Any]:
        """The next answer with one of these names; lines it says are passed over unless asked for."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            values: dict[str, Any] = json.loads(line)
            if set(names) & set(values):
                return values
        raise AssertionError(f"ended with {self._process.wait()}")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


Start = Callable[..., Machine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    machines: list[Machine] = []

    def run(url: str, timing: str = "quick") -> Machine:
        machines.append(Machine(url, tmp_path / f"machine-{len(machines)}", timing))
        return machines[-1]

    yield run
    for machine in machines:
        machine.end()


@pytest.fixture(params=["s3", "folder"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that processes share."""
    return str(request.getfixturevalue("s3_url")) if request.param == "s3" else str(tmp_path / "shared")


def test_of_machines_that_ask_at_once_exactly_one_publishes(shared_url: str, start: Start) -> None:
    machines = [start(shared_url, "eager") for _ in range(NUM_MACHINES)]
    for number in range(NUM_ROUNDS):
        key = f"{number:04x}"
        for machine in machines:
            machine.ask(key=key)
        done = [machine.answer("published", "pulled") for machine in machines]
        assert Counter("published" if "published" in one else "pulled" for one in done) == {
            "published": 1,
            "pulled": NUM_MACHINES - 1,
        }
        assert [one["published"] for one in done if "published" in one] == [True]
    assert len(list_artifacts(shared_url)) == NUM_ROUNDS
    # One attempt a key, of two files and the manifest: nobody else uploaded anything.
    assert len(open_objects(shared_url).listing("v1/objects")) == 3 * NUM_ROUNDS


def test_a_paused_holder_that_wakes_up_does_not_publish_over_its_successor(
    shared_url: str, start: Start
) -> None:
    paused, successor = start(shared_url), start(shared_url)
    paused.ask(key="abc", slowly=True)
    assert paused.answer("holds")["holds"] == 1
    paused.signal(signal.SIGSTOP)
    successor.ask(key="abc", slowly=True)
    assert "waiting for run machine-0 on" in successor.answer("says")["says"]
    assert "has been silent for 2 s; taking over" in successor.answer("says")["says"]
    assert successor.answer("holds")["holds"] == 2

    paused.write("")
    paused.signal(signal.SIGCONT)
    assert paused.answer("published") == {"published": False, "token": 1}
    assert list_artifacts(shared_url) == []
    successor.write("")
    assert successor.answer("published") == {"published": True, "token": 2}
    assert [found.publisher.split(" on ")[0] for found in list_artifacts(shared_url)] == ["run machine-1"]


def test_after_kill_9_of_the_holder_another_machine_takes_over_within_30_s(s3_url: str, start: Start) -> None:
    holder, other = start(s3_url, "real"), start(s3_url, "real")
    holder.ask(key="abc", slowly=True)
    holder.answer("holds")
    other.ask(key="abc")
    other.answer("says")
    holder.signal(signal.SIGKILL)
    killed = time.monotonic()
    assert other.answer("published") == {"published": True, "token": 2}
    assert time.monotonic() - killed < TAKE_OVER_SECONDS


def test_an_upload_cut_off_half_way_is_seen_by_nobody_and_finished_and_removed_by_the_next(
    slow_url: str, start: Start
) -> None:
    objects = open_objects(slow_url)
    killed_uploading(slow_url, start, "def")
    killed_uploading(slow_url, start, "abc")
    assert list_artifacts(slow_url) == []
    assert len(_uploads_of(objects)) == 2

    other = start(slow_url)
    other.ask(key="abc", large=True)
    assert other.answer("published") == {"published": True, "token": 2}
    third = start(slow_url)
    third.ask(key="abc")
    assert third.answer("pulled") == {"pulled": 20_000_000}

    # What the killed one had sent is gone; the published files are not, nor what nobody asked for since.
    [upload] = _uploads_of(objects)
    assert "/def/" in upload["Key"]
    assert len([path for path in objects.listing("v1/objects") if "/abc/" in path]) == 3
    assert collect_abandoned(slow_url, older_than=-5).num_uploads == 1
    assert _uploads_of(objects) == []
    assert len(objects.listing("v1/objects")) == 3


def killed_uploading(url: str, start: Start, key: str) -> None:
    """A machine that is killed while it uploads a large file."""
    objects, holder = open_objects(url), start(url)
    holder.ask(key=key, large=True)
    holder.answer("uploads")
    give_up = time.monotonic() + 60
    while not any(f"/{key}/" in upload["Key"] for upload in _uploads_of(objects)):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    holder.signal(signal.SIGKILL)


def _uploads_of(objects: Any) -> list[dict[str, Any]]:
    answer = objects._fs.call_s3("list_multipart_uploads", Bucket=objects._bucket)
    return list(answer.get("Uploads", []))
