"""Small real programs for the supervisor to run."""

import asyncio
import os
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opensloth_core.launch.process import run_process

REPOSITORY = Path(__file__).parents[3]


@dataclass
class Child:
    """A module of our own to run, and what was seen of it."""

    folder: Path
    name: str = "child"
    lines: list[str] = field(default_factory=list)

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    async def run(
        self,
        *arguments: str,
        title: str = "rank 1",
        on_spawn: Callable[[], None] = lambda: None,
        **env: str,
    ) -> None:
        """Runs the module as `run_process` does, and keeps its lines."""
        await run_process(
            name=title,
            module=self.name,
            arguments=arguments,
            env={"PYTHONPATH": f"{self.folder}{os.pathsep}{REPOSITORY}", **env},
            log_path=self.log_path,
            on_line=self.lines.append,
            on_spawn=on_spawn,
        )

    async def line(self, start: str) -> str:
        """The rest of the first line that starts with `start`, once it is printed."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = [line for line in self.lines if line.startswith(start)]
            if found:
                return found[0].removeprefix(start).strip()
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.name} never printed {start!r}: {self.lines}")


@pytest.fixture
def child(tmp_path: Path) -> Callable[..., Child]:
    """Writes a module and gives it to run."""

    def write(source: str, name: str = "child") -> Child:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        return Child(tmp_path, name)

    return write


@pytest.fixture
def wait_until_gone() -> Callable[..., float]:
    """Waits until processes are gone, and gives how long that took; zombies of others count as gone."""

    def wait(*pids: int, within_seconds: float = 10.0) -> float:
        began = time.monotonic()
        while living := [pid for pid in pids if is_alive(pid)]:
            assert time.monotonic() - began < within_seconds, f"still alive: {living}"
            time.sleep(0.01)
        return time.monotonic() - began

    return wait


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")
