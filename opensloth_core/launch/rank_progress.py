"""How far one rank has come, as its events say, and whether its process still does anything."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.runs.events import Event

MARKS = ("started", "imported", "loaded", "data", "joined", "ready", "trained", "saved")
ALONE = frozenset({"started", "imported", "trained"})
"""Marks after which a rank works without the others, so that time on the processor is progress. Elsewhere
it is not: NCCL spins while it waits for a peer."""

BUSY_SHARE = 0.02
"""Of one processor, from which on a rank works, also where many share it."""

STOPPED, UNINTERRUPTIBLE = "T", "D"
"""States of a process. Source: proc_pid_stat(5)."""


@dataclass
class RankProgress:
    """How far a rank has come, as its events say."""

    number: int
    pid: int | None = None
    position: tuple[int, int] = (-1, 0)
    """Place of its last mark among `MARKS`, and steps after it."""

    doing: str = "its start"
    quiet_since: float = 0.0
    """When its last event was seen, on the monotonic clock."""

    stack: str = ""
    process_state: str = ""
    processor_seconds: float = 0.0

    def works_alone(self, seconds: float) -> bool:
        """Whether it got anything done in the last `seconds`, as far as its processor time says."""
        before = self.processor_seconds
        if fields := _process_fields(self.pid):
            self.processor_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return self.doing in ALONE and self.processor_seconds - before > BUSY_SHARE * seconds

    def take(self, event: Event) -> None:
        self.quiet_since = time.monotonic()
        if event["kind"] == "mark":
            self.pid = event.get("pid", self.pid)
            self.position = (MARKS.index(event["name"]), 0)
            self.doing = event["name"]
        elif event["kind"] == "step":
            self.position = (MARKS.index("ready"), event["step"])
            self.doing = f"step {event['step']}"

    @property
    def told(self) -> str:
        """`rank 1 was last seen at step 6, 31 s ago; somebody stopped its process 812 (SIGSTOP)`."""
        ago = time.monotonic() - self.quiet_since
        text = f"rank {self.number} was last seen at {self.doing}, {ago:.0f} s ago"
        state = self.process_state  # as it was before it was asked for its stack
        if state == STOPPED:
            text += f"; somebody stopped its process {self.pid} (SIGSTOP)"
        elif state == UNINTERRUPTIBLE:
            text += f"; its process {self.pid} waits for a device or a disk that does not answer"
        elif self.pid is not None and not state:
            text += f"; its process {self.pid} is gone"
        return text


def process_state(pid: int | None) -> str:
    """One letter, such as `STOPPED`; empty for a process that is gone."""
    return (_process_fields(pid) or [""])[0]


def _process_fields(pid: int | None) -> list[str]:
    """What the kernel says of a process, its state first; nothing of one that is gone.

    Source: proc_pid_stat(5), from the third field on.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
