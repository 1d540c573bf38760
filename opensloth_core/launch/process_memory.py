"""How much memory a child process had, for when the kernel ends it without a word."""

import contextlib
from pathlib import Path

LOOK_SECONDS = 0.25
"""How often a process is looked at; a fast one has grown a little more when it is killed."""

_KILL_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


class ProcessMemory:
    """Most memory that a process held, as far as it was seen. Source: proc_pid_status(5), VmHWM."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._kills_before = _kernel_kills()
        self.peak_bytes = 0

    def look(self) -> None:
        """See how much it is now; a process that is gone keeps what was seen last."""
        with contextlib.suppress(OSError):
            self.peak_bytes = max(self.peak_bytes, kilobytes(self._status, "VmHWM:") * 1024)

    def of_a_killed_process(self) -> str:
        """What a person should know when SIGKILL ended the process and nobody says why."""
        total = kilobytes(Path("/proc/meminfo"), "MemTotal:") * 1024
        used = f"it had used up to {self.peak_bytes / 2**30:.1f} of {total / 2**30:.1f} GiB of memory"
        if _kernel_kills() > self._kills_before:
            return f"{used} and the kernel ended a process for want of it; lower batch_size or max_seq_length"
        return f"{used}; memory may have run out, or somebody ended it"


def kilobytes(path: Path, name: str) -> int:
    """The number behind `name` in a file of the kernel's such as /proc/self/status; 0 where there is none."""
    return next((int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name)), 0)


def _kernel_kills() -> int:
    """Processes that the kernel ended so far for want of memory, here and in our control group."""
    count = 0
    for path in _KILL_COUNTERS:
        with contextlib.suppress(OSError):
            count += kilobytes(path, "oom_kill ")
    return count
