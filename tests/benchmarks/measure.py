"""One command in a process of its own, timed from outside and from inside.

A child of ours tells what it measured on its last line, as `REPORT {json}`; of other tools' commands
every output line is stamped with the second it came, and their log tells where the work begins and
ends.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[2]

_REPORT = "REPORT "


class MeasurementError(Exception):
    """A command failed, or its log does not say what is looked for."""


@dataclass(frozen=True)
class Measured:
    """What one run of one tool took.

    Attributes:
        work_seconds: preparation alone, without the interpreter's start and imports.
        process_seconds: from the process's start to its end.
        cpu_seconds: of the process and its children, start and imports included; unlike the others
            it hardly grows when somebody else uses the machine.
        load: the machine's one-minute load average when it started.
        note: what was made.
    """

    work_seconds: float
    process_seconds: float
    cpu_seconds: float
    load: float
    note: str = ""


@dataclass(frozen=True)
class Finished:
    """A command that ended well: its lines, each with its second since the start."""

    lines: list[tuple[float, str]]
    seconds: float
    cpu_seconds: float
    load: float

    def measured(self, work_seconds: float, note: str, process_seconds: float | None = None) -> Measured:
        """This run, of which `work_seconds` were the work; it counts up to `process_seconds` if given."""
        return Measured(work_seconds, process_seconds or self.seconds, self.cpu_seconds, self.load, note)

    def second_of(self, text: str) -> float:
        """When the first line with `text` came.

        Raises:
            MeasurementError: no line has it.
        """
        for second, line in self.lines:
            if text in line:
                return second
        raise MeasurementError(f"the log has no {text!r}; its last line: {self.lines[-1][1]}")

    @property
    def report(self) -> dict[str, Any]:
        """What a child of ours told."""
        line = next(line for _, line in reversed(self.lines) if line.startswith(_REPORT))
        report: dict[str, Any] = json.loads(line.removeprefix(_REPORT))
        return report


def report(**values: Any) -> None:
    """Tell the parent, from a child."""
    print(_REPORT + json.dumps(values), flush=True)


def run(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path = REPO) -> Finished:
    """Run a command to its end, with `env` added to the environment.

    Raises:
        MeasurementError: it failed; the message has its last lines.
    """
    os.sync()  # what an earlier run wrote shall not be written during this one
    load = os.getloadavg()[0]
    cpu_before, began = _children_cpu_seconds(), time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    lines = [(time.perf_counter() - began, line.rstrip("\n")) for line in process.stdout]
    if process.wait() != 0:
        tail = "\n".join(line for _, line in lines[-15:])
        raise MeasurementError(f"{command[0]} ended with {process.returncode}:\n{tail}")
    seconds = time.perf_counter() - began
    return Finished(lines, seconds, _children_cpu_seconds() - cpu_before, load)


def run_module(module: str, arguments: Mapping[str, Any], env: Mapping[str, str]) -> Finished:
    """Run `tests.benchmarks.<module>` with JSON arguments, in our own interpreter."""
    return run([sys.executable, "-m", f"tests.benchmarks.{module}", json.dumps(dict(arguments))], env)


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
