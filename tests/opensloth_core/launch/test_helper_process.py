"""A helper process that is killed, with something on its way to it or not."""

import os
import signal
from pathlib import Path

import pytest

from opensloth_core.launch.helper_process import HelperDied, HelperProcess


def helper() -> HelperProcess:
    return HelperProcess("opensloth_core.data.encode_worker", "tokenizes")


def kill(process: HelperProcess) -> None:
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()


@pytest.mark.parametrize("size", [1, 200_000], ids=["fits the pipe", "larger than the pipe"])
def test_what_a_dead_process_never_read_does_not_hide_how_it_died(size: int) -> None:
    process = helper()
    kill(process)
    with pytest.raises(HelperDied, match="the process that tokenizes was killed by SIGKILL"):
        process.send("x" * size)
    process.end()
    assert not Path(f"/proc/{process._process.pid}").exists()


def test_a_process_that_dies_instead_of_answering_is_named() -> None:
    process = helper()
    kill(process)
    with pytest.raises(HelperDied, match="was killed by SIGKILL; memory may have run out"):
        process.receive()
    process.end()
