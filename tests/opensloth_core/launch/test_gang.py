"""A gang starts in order, ends together, and blames the member that brought the others down."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from opensloth_core.errors import ConfigError, OpenSlothError, TrainingError
from opensloth_core.launch.gang import Member, rank_spawned, run_gang, together
from opensloth_core.launch.process import ProcessFailed

Write = Callable[..., Any]
Wait = Callable[..., float]

# Rank 0 waits for rank 1 on a socket, as ranks wait for each other in a collective operation.
WAITING_PEER = """
    import os, socket
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["MEETING"])
    listener.listen()
    connection, _ = listener.accept()
    connection.recv(1)
    raise ConnectionResetError("connection closed by peer")
"""
KILLED = """
    import os, signal, socket, time
    connection = socket.socket(socket.AF_UNIX)
    while True:
        try:
            connection.connect(os.environ["MEETING"])
            break
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.01)
    print("step 7", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def member(child: Any, title: str, **env: str) -> Member:
    """A child process as a member of a gang."""

    return lambda: child.run(title=title, on_spawn=rank_spawned.get().set, **env)


def test_a_gang_whose_members_all_end_well_ends_well(child: Write) -> None:
    ranks = [child(f"print('rank {rank}')", name=f"rank_{rank}") for rank in range(3)]
    asyncio.run(run_gang([member(rank, rank.name) for rank in ranks]))
    assert [rank.lines for rank in ranks] == [["rank 0"], ["rank 1"], ["rank 2"]]


def test_when_one_fails_the_others_are_ended_and_it_is_named(child: Write, wait_until_gone: Wait) -> None:
    steady = child("import os, time; print(os.getpid()); time.sleep(300)", name="steady")
    broken = child("import time; time.sleep(0.5); print('loss is nan'); raise SystemExit(1)", name="broken")
    began = time.monotonic()
    with pytest.raises(TrainingError) as caught:
        asyncio.run(run_gang([member(steady, "rank 0"), member(broken, "rank 1")]))
    assert str(caught.value) == "rank 1 exited with code 1; its last lines:\n    loss is nan"
    wait_until_gone(int(steady.lines[0]))
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("killed_comes", ["first", "last"])
def test_the_killed_rank_is_named_rather_than_the_peer_that_lost_it(child: Write, killed_comes: str) -> None:
    peer, killed = child(WAITING_PEER, name="peer"), child(KILLED, name="killed")
    meeting = str(peer.folder / "meeting")
    members = [member(peer, "rank 0", MEETING=meeting), member(killed, "rank 1", MEETING=meeting)]
    with pytest.raises(TrainingError) as caught:
        asyncio.run(run_gang(members if killed_comes == "last" else members[::-1]))
    assert str(caught.value).startswith("rank 1 was killed by SIGKILL (")
    assert str(caught.value).endswith("); its last lines:\n    step 7")


def test_a_rank_killed_from_outside_is_named_though_its_peer_was_seen_failing_first(child: Write) -> None:
    victim = child("import os, time; print('pid', os.getpid()); time.sleep(300)", name="victim")

    async def peer() -> None:
        rank_spawned.get().set()
        os.kill(int(await victim.line("pid")), signal.SIGKILL)
        await asyncio.sleep(0.2)  # the victim's end is told 0.5 s after it was seen
        raise ProcessFailed("rank 0 exited with code 1")

    with pytest.raises(ProcessFailed, match=r"^rank 1 was killed by SIGKILL"):
        asyncio.run(run_gang([member(victim, "rank 1"), peer]))


def test_a_mistake_in_the_input_is_told_before_any_other_failure() -> None:
    async def refuse() -> None:
        rank_spawned.get().set()
        raise ConfigError("lora_rank 0")

    async def die_of_it() -> None:
        rank_spawned.get().set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise TrainingError("rank 0 exited with code 1") from None

    with pytest.raises(OpenSlothError) as caught:
        asyncio.run(run_gang([die_of_it, refuse]))
    assert str(caught.value) == "lora_rank 0"


def test_members_start_in_order_each_after_the_one_before_is_spawned() -> None:
    seen: list[str] = []

    def rank(number: int) -> Member:
        async def run() -> None:
            seen.append(f"{number} starts")
            await asyncio.sleep(0.02 * (3 - number))  # the first takes longest
            seen.append(f"{number} is up")
            rank_spawned.get().set()
            await asyncio.sleep(0.2)
            seen.append(f"{number} ends")

        return run

    asyncio.run(run_gang([rank(number) for number in range(3)]))
    assert seen == [
        "0 starts",
        "0 is up",
        "1 starts",
        "1 is up",
        "2 starts",
        "2 is up",
        "0 ends",
        "1 ends",
        "2 ends",
    ]


def test_a_member_that_ends_without_being_spawned_does_not_hold_up_the_next() -> None:
    seen: list[int] = []

    def rank(number: int) -> Member:
        async def run() -> None:
            seen.append(number)

        return run

    asyncio.run(asyncio.wait_for(run_gang([rank(0), rank(1)]), timeout=10))
    assert seen == [0, 1]


def test_after_a_failed_start_no_further_member_starts_and_no_task_is_left() -> None:
    started: list[str] = []

    async def broken() -> None:
        started.append("broken")
        raise TrainingError("no memory")

    async def never() -> None:
        started.append("never")

    async def run() -> set[str]:
        with pytest.raises(TrainingError, match="no memory"):
            await run_gang([broken, never])
        await asyncio.sleep(0.05)
        return {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(run()) == set()
    assert started == ["broken"]


def test_cancelling_the_gang_ends_every_member(child: Write, wait_until_gone: Wait) -> None:
    source = "import os, time; print('pid', os.getpid()); time.sleep(300)"
    ranks = [child(source, name=f"rank_{number}") for number in range(2)]

    async def run() -> list[int]:
        running = asyncio.create_task(run_gang([member(rank, rank.name) for rank in ranks]))
        pids = [int(await rank.line("pid")) for rank in ranks]
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return pids

    wait_until_gone(*asyncio.run(run()))


def test_an_error_that_is_none_of_ours_is_not_hidden() -> None:
    async def buggy() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(run_gang([buggy]))
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]


async def _ends(after: float, ended: list[str], error: Exception | None = None) -> None:
    try:
        await asyncio.sleep(after)
        if error is not None:
            raise error
    except asyncio.CancelledError:
        ended.append("cancelled")
        raise
    ended.append("done")


def test_work_that_runs_together_is_waited_for() -> None:
    ended: list[str] = []
    asyncio.run(together(_ends(0.05, ended), _ends(0.01, ended)))
    assert ended == ["done", "done"]


def test_when_one_part_fails_the_other_is_cancelled_and_the_failure_is_told_as_it_is() -> None:
    ended: list[str] = []
    with pytest.raises(ConfigError, match="a mistake in the data"):
        asyncio.run(together(_ends(0.01, ended, ConfigError("a mistake in the data")), _ends(30, ended)))
    assert ended == ["cancelled"]


def test_a_bug_goes_before_our_own_errors() -> None:
    async def both_fail() -> None:
        raise KeyError("surprise")

    with pytest.raises(KeyError, match="surprise"):
        asyncio.run(together(_ends(0, [], ConfigError("x")), both_fail()))
