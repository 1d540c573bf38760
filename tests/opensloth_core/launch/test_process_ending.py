"""How processes and their children end: cancelled, killed, or with their parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.launch.process import ProcessFailed, run_process

REPOSITORY = Path(__file__).parents[3]
Write = Callable[..., Any]
Wait = Callable[..., float]


async def cancel_once_up(child: Any) -> tuple[float, list[int]]:
    """Cancels a child that printed `pids: …`; gives how long it took to return, and those ids."""
    running = asyncio.create_task(child.run())
    pids = [int(pid) for pid in (await child.line("pids:")).split()]
    child.ready(pids)
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return time.monotonic() - began, pids


PARENT = """
    import os, signal, subprocess, sys, time
    {preparation}
    grandchild = subprocess.Popen([sys.executable, "-c", {grandchild!r}], stdout=subprocess.PIPE)
    grandchild.stdout.readline()
    print("pids:", os.getpid(), grandchild.pid)
    time.sleep(300)
"""
SLEEP = "import time; print(flush=True); time.sleep(300)"
IGNORE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
CANCELLED = {
    "ends on SIGTERM": ("", SLEEP, 3.0),
    "ignores SIGTERM": (IGNORE, SLEEP, 8.0),
    "has a child that ignores SIGTERM": ("", f"{IGNORE}; {SLEEP}", 8.0),
}


@pytest.mark.parametrize("case", CANCELLED)
def test_cancelling_ends_the_process_and_its_children(case: str, child: Write, wait_until_gone: Wait) -> None:
    preparation, grandchild, most_seconds = CANCELLED[case]
    parent = child(PARENT.format(preparation=preparation, grandchild=grandchild))
    parent.ready = lambda pids: None
    seconds, pids = asyncio.run(cancel_once_up(parent))
    assert len(pids) == 2
    assert seconds + wait_until_gone(*pids) < most_seconds


def test_cancelling_ends_a_stopped_process(child: Write, wait_until_gone: Wait) -> None:
    parent = child(PARENT.format(preparation="", grandchild=SLEEP))

    def stop(pids: list[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    parent.ready = stop
    seconds, pids = asyncio.run(cancel_once_up(parent))
    assert seconds + wait_until_gone(*pids) < 3.0  # SIGCONT lets it take the SIGTERM


def test_a_second_cancel_kills_at_once(child: Write, wait_until_gone: Wait) -> None:
    stubborn = child(PARENT.format(preparation=IGNORE, grandchild=SLEEP))

    async def cancel_twice() -> tuple[float, list[int]]:
        running = asyncio.create_task(stubborn.run())
        pids = [int(pid) for pid in (await stubborn.line("pids:")).split()]
        running.cancel()
        await asyncio.sleep(0.2)
        assert not running.done()
        began = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return time.monotonic() - began, pids

    seconds, pids = asyncio.run(cancel_twice())
    assert seconds + wait_until_gone(*pids) < 3.0


def test_children_of_a_finished_process_are_ended(child: Write, wait_until_gone: Wait) -> None:
    # The grandchild holds the output open, as the workers of a data loader do.
    parent = child(f"""
        import os, subprocess, sys
        print(subprocess.Popen([sys.executable, "-c", {SLEEP!r}]).pid)
        os._exit(0)
    """)
    asyncio.run(asyncio.wait_for(parent.run(), timeout=20))
    wait_until_gone(int(parent.lines[0]))


def test_a_killed_process_is_told_at_once_though_its_children_live(
    child: Write, wait_until_gone: Wait
) -> None:
    parent = child(f"""
        import os, signal, subprocess, sys
        print(subprocess.Popen([sys.executable, "-c", {SLEEP!r}]).pid)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    with pytest.raises(ProcessFailed, match=r"^rank 1 was killed by SIGKILL \(.*\); "):
        asyncio.run(asyncio.wait_for(parent.run(), timeout=20))
    wait_until_gone(int(parent.lines[0]))


def test_a_process_whose_output_cannot_be_taken_is_ended(child: Write, wait_until_gone: Wait) -> None:
    talker = child("""
        import os
        print(os.getpid())
        while True:
            print("x" * 1000)
    """)
    pids: list[int] = []

    def fail_on_second(line: str) -> None:
        if pids:
            raise OSError(28, "No space left on device")
        pids.append(int(line))

    async def run() -> None:
        await run_process(
            name="rank 0",
            module=talker.name,
            arguments=[],
            env={"PYTHONPATH": str(talker.folder)},
            log_path=talker.log_path,
            on_line=fail_on_second,
        )

    with pytest.raises(OSError, match="No space left"):
        asyncio.run(asyncio.wait_for(run(), timeout=20))
    wait_until_gone(*pids)


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from opensloth_core.launch.process import run_process

folder = Path(sys.argv[1])
asyncio.run(
    run_process("rank 0", "orphan", [], {"PYTHONPATH": f"{folder}:" + sys.argv[2]}, folder / "log",
                lambda line: print(line, flush=True))
)
"""


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path, wait_until_gone: Wait) -> None:
    (tmp_path / "orphan.py").write_text(
        "import os, time\n"
        "from opensloth_core.launch.parent import die_with_parent\n"
        "die_with_parent()\n"
        "print(os.getpid())\n"
        "time.sleep(300)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(tmp_path), str(REPOSITORY)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert parent.stdout
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait(timeout=10)
    assert wait_until_gone(pid) < 2.0


def test_a_child_whose_parent_is_already_gone_ends_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from opensloth_core.launch.parent import die_with_parent\ndie_with_parent()\nprint('lived')",
        ],
        env={**os.environ, "OPENSLOTH_PARENT_PID": "1"},  # as if another had started it
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
