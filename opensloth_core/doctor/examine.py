"""Runs the checks beside one another, each with a limit on its time."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opensloth_core.doctor.clock import NAME as CLOCK
from opensloth_core.doctor.clock import check_clock
from opensloth_core.doctor.collective import LIMIT_SECONDS as COLLECTIVE_SECONDS
from opensloth_core.doctor.collective import NAME as COLLECTIVE
from opensloth_core.doctor.collective import check_collective
from opensloth_core.doctor.disk import NAME as DISK
from opensloth_core.doctor.disk import check_disk
from opensloth_core.doctor.finding import Finding, error, note
from opensloth_core.doctor.gpus import NAME as GPUS
from opensloth_core.doctor.gpus import check_gpus
from opensloth_core.doctor.remote_store import NAME as REMOTE_STORE
from opensloth_core.doctor.remote_store import check_remote_store
from opensloth_core.doctor.sandbox import NAME as SANDBOX
from opensloth_core.doctor.sandbox import check_sandbox
from opensloth_core.doctor.server import NAME as SERVER
from opensloth_core.doctor.server import check_server
from opensloth_core.doctor.shared_memory import NAME as SHARED_MEMORY
from opensloth_core.doctor.shared_memory import check_shared_memory
from opensloth_core.doctor.store import NAME as STORE
from opensloth_core.doctor.store import check_store
from opensloth_core.doctor.tmux import NAME as TMUX
from opensloth_core.doctor.tmux import check_tmux
from opensloth_core.doctor.versions import NAME as VERSIONS
from opensloth_core.doctor.versions import check_versions
from opensloth_core.runs.report.numbers import duration

LIMIT_SECONDS = 8.0
"""Of one check; they run at the same time."""


@dataclass(frozen=True)
class Check:
    """One thing that is looked at."""

    name: str
    find: Callable[[], Finding]
    hangs: str
    """What to do when it does not come back."""

    limit_seconds: float = LIMIT_SECONDS

    is_slow: bool = False
    """Whether it imports torch, in a process of its own."""


CHECKS = (
    Check(VERSIONS, check_versions, "the disk of the Python environment does not answer"),
    Check(GPUS, check_gpus, "the driver does not answer; see nvidia-smi, restart"),
    Check(COLLECTIVE, check_collective, "restart the processes", COLLECTIVE_SECONDS + 5, is_slow=True),
    Check(SERVER, check_server, "see whether PREFECT_API_URL can be reached"),
    Check(STORE, check_store, "the disk of OPENSLOTH_HOME does not answer; use another"),
    Check(REMOTE_STORE, check_remote_store, "see whether OPENSLOTH_STORE can be reached, or unset it"),
    Check(SHARED_MEMORY, check_shared_memory, "restart the container"),
    Check(DISK, check_disk, "a disk of home, store or tmp does not answer; use another"),
    Check(CLOCK, check_clock, "the disk of OPENSLOTH_HOME does not answer; use another"),
    Check(SANDBOX, check_sandbox, "free the machine and look again"),
    Check(TMUX, check_tmux, "restart it: tmux kill-server"),
)


def examine(quick: bool = False, checks: tuple[Check, ...] = CHECKS) -> Iterator[Finding]:
    """What each check finds, in their order, as soon as it is known.

    Args:
        quick: leave out what imports torch.
    """
    started = [(check, None if quick and check.is_slow else _started(check)) for check in checks]
    begun = time.monotonic()
    for check, work in started:
        if work is None:
            yield note(check.name, "not looked at (--quick)")
            continue
        work.thread.join(max(0.0, begun + check.limit_seconds - time.monotonic()))
        limit = duration(check.limit_seconds)
        yield work.finding or error(check.name, f"no answer within {limit}", check.hangs)


class _Work:
    """A check at work in a thread of its own, which this process does not wait for when it ends."""

    def __init__(self, check: Check) -> None:
        self.finding: Finding | None = None
        self.thread = threading.Thread(target=self._run, args=(check,), name=check.name, daemon=True)

    def _run(self, check: Check) -> None:
        try:
            self.finding = check.find()
        except Exception as err:
            # A check that breaks is a finding; the others go on.
            text = f"the check itself failed: {type(err).__name__}: {' '.join(str(err).split())[:150]}"
            self.finding = error(check.name, text, "please report this")


def _started(check: Check) -> _Work:
    work = _Work(check)
    work.thread.start()
    return work
