"""One child process: what it prints is seen, how it ends is told, and nothing outlives its supervisor."""

import asyncio
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.errors import ConfigError
from opensloth_core.launch.process import MAX_LINE_BYTES, ProcessFailed

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


def test_sigint_ends_a_child_of_ours_whatever_a_library_makes_of_exceptions(child: Write) -> None:
    worker = child("""
        import contextlib, os, signal
        from opensloth_core.launch.child import run_child

        def main(run_dir):
            with contextlib.suppress(BaseException):
                os.kill(os.getpid(), signal.SIGINT)
            print("went on")

        run_child(main)
    """)
    with pytest.raises(ProcessFailed, match=r"^rank 1 was killed by SIGINT$"):
        asyncio.run(worker.run("run"))


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
