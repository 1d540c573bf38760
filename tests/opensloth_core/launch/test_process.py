"""One child process: what it prints is seen, how it ends is told, and nothing outlives its supervisor."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.errors import ConfigError
from opensloth_core.launch.process import MAX_LINE_BYTES, ProcessFailed, run_process

REPOSITORY = Path(__file__).parents[3]
Write = Callable[..., Any]
Wait = Callable[..., float]


def test_every_line_reaches_the_caller_and_the_log(child: Write) -> None:
    talker = child("""
        import sys
        print("one")
        print("two", file=sys.stderr)
        print("naïve 世界")
    """)
    spawned: list[str] = []
    asyncio.run(talker.run(on_spawn=lambda: spawned.append("once")))
    assert talker.lines == ["one", "two", "naïve 世界"]
    assert talker.log_path.read_text() == "one\ntwo\nnaïve 世界\n"
    assert spawned == ["once"]


def test_lines_arrive_while_the_process_runs(child: Write) -> None:
    talker = child("""
        import time
        print("begun")
        time.sleep(60)
    """)

    async def until_begun() -> None:
        running = asyncio.create_task(talker.run())
        await talker.line("begun")
        assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(until_begun())


def test_arguments_and_environment_reach_the_process(child: Write) -> None:
    talker = child("""
        import os, sys
        print(sys.argv[1:], os.environ["RANK"], os.environ["OPENSLOTH_PARENT_PID"])
        print(os.getsid(0) == os.getpid(), sys.stdin.read() == "")
    """)
    asyncio.run(talker.run("a b", "c", RANK="7"))
    assert talker.lines == [f"['a b', 'c'] 7 {os.getpid()}", "True True"]


def test_a_second_run_appends_to_the_log(child: Write) -> None:
    talker = child("import sys; print(sys.argv[1])")
    asyncio.run(talker.run("first"))
    asyncio.run(talker.run("second"))
    assert talker.log_path.read_text() == "first\nsecond\n"


def failure(child: Any, *arguments: str) -> ProcessFailed:
    with pytest.raises(ProcessFailed) as caught:
        asyncio.run(child.run(*arguments))
    return caught.value


def test_a_failed_process_is_named_with_its_code_and_its_last_lines(child: Write) -> None:
    broken = child("""
        for number in range(1, 21):
            print(f"line {number}")
        raise SystemExit(3)
    """)
    error = failure(broken)
    shown = "\n".join(f"    line {number}" for number in range(6, 21))  # the last 15 of 20
    assert str(error) == f"rank 1 exited with code 3; its last lines:\n{shown}"
    assert not error.by_signal
    assert error.exit_code == 1
    assert time.monotonic() - error.ended < 30


def test_a_failed_process_that_said_nothing_is_named_alone(child: Write) -> None:
    assert str(failure(child("raise SystemExit(3)"))) == "rank 1 exited with code 3"


def test_a_traceback_is_among_the_last_lines(child: Write) -> None:
    assert str(failure(child("raise RuntimeError('out of memory')"))).endswith(
        "\n    RuntimeError: out of memory"
    )


def test_a_mistake_in_the_input_is_told_with_just_its_text(child: Write) -> None:
    strict = child("""
        print("reading")
        print("error: train.jsonl:17: not valid JSON")
        raise SystemExit(65)
    """)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(strict.run())
    assert str(caught.value) == "train.jsonl:17: not valid JSON"
    assert caught.value.exit_code == 2


def test_exit_65_without_a_message_is_a_failure_like_any_other(child: Write) -> None:
    assert str(failure(child("raise SystemExit(65)"))) == "rank 1 exited with code 65"


def test_an_error_of_the_run_is_told_with_just_its_text(child: Write) -> None:
    error = failure(child("print('step 3'); print('error: the loss is nan'); raise SystemExit(1)"))
    assert str(error) == "the loss is nan"
    assert error.exit_code == 1


def test_an_error_that_a_library_printed_before_a_traceback_is_not_taken_for_ours(child: Write) -> None:
    error = failure(child("print('error: no such device'); raise KeyError('x')"))
    assert str(error).startswith("rank 1 exited with code 1; its last lines:\n    error: no such device\n")
    assert str(error).endswith("KeyError: 'x'")


def test_our_errors_cross_the_process_boundary(child: Write) -> None:
    worker = child("""
        import sys
        from opensloth_core.errors import DataError, StoreError
        from opensloth_core.launch.child import run_child

        def main(run_dir):
            raise {"data": DataError, "store": StoreError}[run_dir.name](f"{run_dir.name} is wrong")

        run_child(main)
    """)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(worker.run("data"))
    assert str(caught.value) == "data is wrong"
    assert str(failure(worker, "store")) == "store is wrong"


def test_a_killed_process_is_named_with_the_signal(child: Write) -> None:
    error = failure(
        child("""
            import os, signal
            print("step 3")
            os.kill(os.getpid(), signal.SIGKILL)
        """)
    )
    assert re.fullmatch(
        r"rank 1 was killed by SIGKILL \(it had used up to \d+\.\d of \d+\.\d GiB of memory; memory may have "
        r"run out, or somebody ended it\); its last lines:\n    step 3",
        str(error),
    )
    assert error.by_signal


def test_a_killed_process_is_told_with_the_memory_it_had(child: Write) -> None:
    error = failure(
        child("""
            import os, signal, time
            held = b"x" * 500_000_000  # 0.47 GiB
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        """)
    )
    assert "it had used up to 0.5 of " in str(error)


def test_a_process_that_another_signal_ended_is_not_said_to_lack_memory(child: Write) -> None:
    error = failure(child("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    assert str(error) == "rank 1 was killed by SIGSEGV"


def test_a_line_longer_than_the_limit_is_passed_on_whole(child: Write) -> None:
    size = 5 * MAX_LINE_BYTES // 2
    talker = child(f"""
        print("a" * {size})
        print("after")
    """)
    asyncio.run(talker.run())
    assert talker.log_path.read_text() == "a" * size + "\nafter\n"
    assert "".join(talker.lines[:-1]) == "a" * size
    assert talker.lines[-1] == "after"


def test_a_last_line_without_newline_is_seen(child: Write) -> None:
    talker = child("print('one'); print('two', end='')")
    asyncio.run(talker.run())
    assert talker.lines == ["one", "two"]


def test_of_a_redrawn_line_the_last_state_is_shown_and_the_log_keeps_all(child: Write) -> None:
    talker = child(r"import sys; sys.stdout.write('10%\r50%\r\r100%\nwindows\r\n\n')")
    asyncio.run(talker.run())
    assert talker.lines == ["100%", "windows", ""]
    assert talker.log_path.read_bytes() == b"10%\r50%\r\r100%\nwindows\r\n\n"


def test_bytes_that_are_no_text_do_not_stop_the_run(child: Write) -> None:
    talker = child(r"import sys; sys.stdout.buffer.write(b'\xff\xfe\nfine\n')")
    asyncio.run(talker.run())
    assert talker.lines == ["\N{REPLACEMENT CHARACTER}" * 2, "fine"]


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
