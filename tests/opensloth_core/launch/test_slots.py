"""Slots and their queue, asked for by runs of one process: a lock is of what was opened, not of a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opensloth_core.errors import StoreError
from opensloth_core.launch.queue import Ticket, Waiting
from opensloth_core.launch.slots import Holder, Reservation, Slots, slots_dir
from opensloth_core.launch.wish import Wish

ABCD = ("a", "b", "c", "d")


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path / "slots")


def ticket(slots: Slots, name: str) -> Ticket:
    return Ticket(slots, Holder(name, os.getpid()))


def some(*sizes: int) -> Wish:
    """So many of all devices, whichever."""
    return Wish(ABCD, sizes)


def these(*devices: str) -> Wish:
    """Exactly these devices."""
    return Wish(devices, (len(devices),))


def taken(answer: Reservation | Waiting) -> Reservation:
    assert isinstance(answer, Reservation), answer
    return answer


def waits(answer: Reservation | Waiting) -> Waiting:
    assert isinstance(answer, Waiting), answer.devices
    return answer


def test_runs_get_different_devices_as_long_as_there_are_enough(slots: Slots) -> None:
    first, second = (taken(ticket(slots, name).ask(some(2))) for name in "xy")
    assert (first.devices, second.devices) == (("a", "b"), ("c", "d"))
    third = ticket(slots, "z")
    me = os.getpid()
    x, y = Holder("x", me), Holder("y", me)
    assert waits(third.ask(some(1))) == Waiting({"a": x, "b": x, "c": y, "d": y}, {}, ())
    second.release()
    assert taken(third.ask(some(1))).devices == ("c",)


def test_a_run_that_can_do_with_fewer_takes_what_is_left(slots: Slots) -> None:
    taken(ticket(slots, "x").ask(these("b")))
    assert taken(ticket(slots, "y").ask(some(4, 3, 2, 1))).devices == ("a", "c", "d")
    assert waits(ticket(slots, "z").ask(some(4, 3, 2, 1))).left == ()


def test_devices_are_taken_all_or_none(slots: Slots) -> None:
    taken(ticket(slots, "x").ask(these("b")))
    assert waits(ticket(slots, "y").ask(these("a", "b"))).left == ("a",)
    with slots.turn():
        assert list(slots.held(ABCD)) == ["b"]


def test_one_that_asks_for_many_is_not_overtaken_by_those_that_ask_for_one(slots: Slots) -> None:
    holders = [taken(ticket(slots, name).ask(some(1))) for name in "vwxy"]
    many, one = ticket(slots, "many"), ticket(slots, "one")
    waits(many.ask(some(4)))
    for holder in holders[:3]:
        holder.release()
        claimed = waits(one.ask(some(1))).claimed
        assert {str(by) for by in claimed.values()} == {f"many (process {os.getpid()})"}
    holders[3].release()
    waits(one.ask(some(1)))
    got = taken(many.ask(some(4)))
    assert got.devices == ABCD
    got.release()
    assert taken(one.ask(some(1))).devices == ("a",)


def test_one_that_waits_for_one_device_keeps_nobody_from_the_others(slots: Slots) -> None:
    taken(ticket(slots, "x").ask(these("a")))
    waits(ticket(slots, "y").ask(these("a")))
    assert taken(ticket(slots, "z").ask(some(1))).devices == ("b",)


def test_those_who_wait_get_a_device_in_the_order_in_which_they_came(slots: Slots) -> None:
    holder = taken(ticket(slots, "x").ask(these("a")))
    queue = [ticket(slots, str(number)) for number in range(5)]
    for place in queue:
        waits(place.ask(these("a")))
    for number, place in enumerate(queue):
        holder.release()
        for behind in reversed(queue[number + 1 :]):
            waits(behind.ask(these("a")))
        holder = taken(place.ask(these("a")))


def test_who_leaves_the_queue_is_waited_for_no_longer(slots: Slots) -> None:
    taken(ticket(slots, "x").ask(these("a")))
    impatient, other = ticket(slots, "impatient"), ticket(slots, "other")
    waits(impatient.ask(these("a", "b")))
    waits(other.ask(these("b")))
    impatient.leave()
    assert taken(other.ask(these("b"))).devices == ("b",)
    assert list(slots.queue.iterdir()) == []


def test_a_wish_may_change_while_it_waits(slots: Slots) -> None:
    taken(ticket(slots, "x").ask(these("a")))
    first, second = ticket(slots, "first"), ticket(slots, "second")
    waits(first.ask(these("a", "b")))
    waits(second.ask(these("b")))
    waits(first.ask(these("a")))
    assert taken(second.ask(these("b"))).devices == ("b",)


HOLD = """
import sys, time
from pathlib import Path
from opensloth_core.launch.queue import Ticket
from opensloth_core.launch.slots import Holder, Slots
from opensloth_core.launch.wish import Wish
mine = Ticket(Slots(Path(sys.argv[1])), Holder("other", 1))
kept = mine.ask(Wish(("a", "b"), (2,)))
print(type(kept).__name__, flush=True)
time.sleep(600)
"""


def other_process(slots: Slots) -> tuple[subprocess.Popen[str], str]:
    """A process that asks for a and b, and its answer."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(slots.folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_what_a_killed_process_held_is_free_at_once(slots: Slots) -> None:
    process, answer = other_process(slots)
    assert answer == "Reservation"
    mine = ticket(slots, "mine")
    assert waits(mine.ask(these("b"))).held == {"b": Holder("other", 1)}
    process.kill()
    process.communicate()
    assert taken(mine.ask(these("b"))).devices == ("b",)


def test_a_place_in_the_queue_ends_with_its_process(slots: Slots) -> None:
    holder = taken(ticket(slots, "x").ask(these("a")))
    process, answer = other_process(slots)
    assert answer == "Waiting"
    mine = ticket(slots, "mine")
    assert waits(mine.ask(these("b"))).claimed == {"b": Holder("other", 1)}
    process.kill()
    process.communicate()
    assert taken(mine.ask(these("b"))).devices == ("b",)
    holder.release()


def test_a_holder_that_is_stopped_is_called_so() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"]
    )
    os.waitpid(process.pid, os.WUNTRACED)
    assert str(Holder("run x", process.pid)) == f"run x (process {process.pid}, which is stopped)"
    process.kill()
    process.wait()
    assert str(Holder("run x", process.pid)) == f"run x (process {process.pid})"


def test_a_lock_file_that_was_removed_is_no_lock(slots: Slots) -> None:
    held = taken(ticket(slots, "x").ask(these("a")))
    held.release()
    (slots.folder / "devices" / "a").unlink()
    assert taken(ticket(slots, "y").ask(these("a"))).devices == ("a",)
    waits(ticket(slots, "z").ask(these("a")))


def test_slots_are_of_the_user_on_the_machine_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENSLOTH_SLOTS_DIR", raising=False)
    for name in ("OPENSLOTH_HOME", "TMPDIR", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, "/somewhere/else")
    assert slots_dir() == Path(f"/tmp/opensloth-{os.getuid()}")
    monkeypatch.setenv("OPENSLOTH_SLOTS_DIR", "/var/lib/slots")
    assert slots_dir() == Path("/var/lib/slots")


def test_a_folder_that_cannot_be_used_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StoreError, match=r"file.*: cannot keep there which devices are in use: .*; set OPENSLOTH_"
    ):
        Slots(tmp_path / "file")
