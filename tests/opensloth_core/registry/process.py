"""Processes that promote and read: `python process.py COMMAND ROOT FOLDER …`; each prints one line of JSON.

write ROUNDS    promotes so often, rolling back after every fifth
read STOP       reads the current version again and again until the file STOP is there
kills TIMES     kills a process that promotes, at a random moment, so many times; reads after each
promote TIMES   promotes so often, again where another process is at it
"""

import json
import math
import os
import random
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Imported before anything is forked, or every child would take a second for it.
import opensloth_core.registry.local_registry
import opensloth_core.registry.remote_registry  # noqa: F401
from opensloth_core.errors import ConfigError, StoreError
from opensloth_core.registry.current_link import resolved
from opensloth_core.registry.model_registry import Registry, open_registry
from opensloth_core.store.remote.lease import Timing
from tests.opensloth_core.registry.adapters import marks, record, write_adapter

QUICK = Timing(heartbeat_seconds=0.2, silent_seconds=3.0, poll_seconds=0.05, patience_seconds=1.0)
LARGE = 1_000_000


def registry_of(root: str) -> Registry:
    return open_registry("bot", root, timing=QUICK)


def write(root: str, folder: Path, rounds: int) -> dict[str, object]:
    registry = registry_of(root)
    for number in range(1, rounds + 1):
        registry.promote(write_adapter(folder / f"a{number}", number), record(number), keep=2)
        if number % 5 == 0:
            registry.rollback()
    current = registry.current()
    assert current is not None
    return {"current": current.record.run}


def read(root: str, folder: Path, stop: Path) -> dict[str, object]:
    registry, looks, seen, mixed, removed = registry_of(root), 0, set(), 0, 0
    while not stop.exists():
        current = registry.current()
        if current is None:
            continue
        try:
            with registry.hold(current) as held:
                found = marks(held, pause=0.002)
        except StoreError:
            removed += 1
            continue
        looks, seen, mixed = looks + 1, seen | found, mixed + (len(found) != 1)
        link = Path(root, "bot", "current")
        if link.exists():
            mixed += len(marks_of_link(link)) > 1
    return {"looks": looks, "versions": len(seen), "mixed": mixed, "removed": removed}


def marks_of_link(link: Path) -> set[int]:
    """As a program without our code reads: the link once, then the files."""
    try:
        return marks(resolved(link))
    except FileNotFoundError:
        return set()


def kills(root: str, folder: Path, times: int) -> dict[str, object]:
    """Later and later, within the time that one takes; whoever ends before it is killed says how long."""
    dice, seen, mixed, killed, took = random.Random(7), [], 0, 0, math.inf
    for number in range(5 * times):
        adapter = write_adapter(folder / f"a{number}", number, LARGE)
        began = folder / f"began-{number}"
        child = forked(lambda: promote_after(root, adapter, number, began))  # noqa: B023
        while not began.exists():
            time.sleep(0.001)
        started = time.monotonic()
        ended = ends_within(child, (killed + dice.random()) / times * took)
        if ended:
            took = time.monotonic() - started
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed += 1
        result = folder / f"seen-{number}"
        os.waitpid(forked(lambda: result.write_text(json.dumps(look(root)))), 0)  # noqa: B023
        found = json.loads(result.read_text())
        mixed += len(found) > 1
        seen.append([found[0], ended])
        if killed == times:
            break
    return {"seen": seen, "mixed": mixed, "killed": killed}


def ends_within(child: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def promote_after(root: str, adapter: Path, number: int, began: Path) -> None:
    registry = registry_of(root)
    with registry.lock():
        began.touch()
        registry.promote(adapter, record(number), keep=3)


def look(root: str) -> list[int]:
    registry = registry_of(root)
    current = registry.current()
    if current is None:
        return []
    with registry.hold(current) as held:
        return sorted(marks(held))


def promote(root: str, folder: Path, times: int) -> dict[str, object]:
    registry, refused = registry_of(root), 0
    for _ in range(times):
        mark = secrets.randbelow(10**6)
        adapter = write_adapter(folder / f"a{mark}", mark)
        while True:
            try:
                registry.promote(adapter, record(mark), keep=100)
                break
            except ConfigError as err:
                assert "is making a new version of it" in str(err)
                refused += 1
                time.sleep(0.01)
    return {"refused": refused}


def forked(work: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(0)


if __name__ == "__main__":
    command, place, own = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    own.mkdir(parents=True)
    if command == "read":
        answer = read(place, own, Path(sys.argv[4]))
    else:
        answer = {"write": write, "kills": kills, "promote": promote}[command](place, own, int(sys.argv[4]))
    print(json.dumps(answer))
