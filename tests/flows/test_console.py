"""A flow whose log nobody reads any more goes on, as when its worker is killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

FLOW = """
import sys
from flows.console import outlive_console
from rich.console import Console

if sys.argv[1] == "outlives":
    outlive_console()
for number in range(3):
    Console(stderr=True).print("step", number)
print("and plain words")
open(sys.argv[2], "w").write("done")
"""


@pytest.mark.parametrize(("case", "done"), [("outlives", True), ("as rich has it", False)])
def test_a_broken_pipe_ends_nothing(case: str, done: bool, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    subprocess.run(
        [sys.executable, "-c", FLOW, case, str(tmp_path / "result")],
        stdout=writer,
        stderr=writer,
        cwd=REPOSITORY,
        check=False,
        timeout=60,
    )
    os.close(writer)
    assert (tmp_path / "result").exists() is done
