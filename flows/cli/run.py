"""Runs one configuration before a person's eyes, and turns how it ended into an exit code."""

import errno
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Generic, TypeVar

from flows.cli.command import Command
from flows.cli.console import RunConsole, View
from flows.cli.json_view import clean_stdout, tell_end, tell_error
from flows.cli.settings import in_flags
from flows.cli.shown import DEFAULT, Shown
from flows.cli.tell import tell
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.nest import Names
from opensloth_core.errors import ConfigError, OpenSlothError

if TYPE_CHECKING:
    from opensloth_core.runs.directory import RunDirectory

Config = TypeVar("Config", bound=DatasetPrepConfig)

FAILED = 1
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
HUNG_UP = 128 + signal.SIGHUP

SAME_REQUEST_SECONDS = 1.0
"""Signals closer together than this are one request to end."""

RESULT_LINES = ("Adapter ", "Folder ")
"""How the lines of a summary begin that say where the result is."""

DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""What the disk under a run's directory may do at any moment; no bugs of ours."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came; cleans up exactly as Ctrl-C does."""


class HungUp(KeyboardInterrupt):
    """SIGHUP came: the terminal was closed; cleans up exactly as Ctrl-C does."""


_INTERRUPTS: dict[int, type[KeyboardInterrupt]] = {signal.SIGTERM: Terminated, signal.SIGHUP: HungUp}


@dataclass(frozen=True)
class Job(Generic[Config]):
    """What a command does with its configuration. Each step imports what it needs only when called."""

    program: str
    """Who speaks in error messages."""

    command: Command
    """Whose flags errors name."""

    refuse: Callable[[Config], object]
    """Checks a configuration without writing anything."""

    work: Callable[[Config, Path], None]
    """Does the work of a run, given its directory."""

    shown: Shown = DEFAULT
    """How it is shown."""

    origins: Mapping[Names, str] = field(default_factory=dict)
    """Where settings came from that are neither defaults nor flags, by their places."""

    since: float = field(default_factory=time.time)
    """When it began, in Unix seconds; what a run's log has from before is of earlier attempts."""

    def ended(self, err: OpenSlothError) -> int:
        """Say what went wrong in one line and give its exit code."""
        message = str(err)
        if isinstance(err, ConfigError):
            message = in_flags(err, self.command.settings, self.command.flags, self.origins)
        return self.said(message, err.exit_code)

    def said(self, message: str, exit_code: int) -> int:
        """Print a last line and give the exit code."""
        if self.shown.as_json:
            tell_error(self.program, message)
        else:
            tell(sys.stderr, f"{self.program}: {message}")
        return exit_code

    def concluded(self, text: str) -> None:
        """Print what a run came to: where the result is, and the rest of it where that is wanted.

        Args:
            text: a summary.
        """
        if self.shown.as_json:
            return
        lines = text.splitlines()
        if self.shown.quiet:
            lines = [line for line in lines if line.startswith(RESULT_LINES)]
        tell(sys.stdout, "\n".join(lines))


def run_job(
    job: Job[Config],
    config: Config,
    afterwards: Callable[["RunDirectory"], int],
    opened: Callable[[], "RunDirectory"] | None = None,
    also: Sequence[View] = (),
) -> int:
    """Check, run, show it, and return the exit code; what is refused leaves nothing behind.

    Args:
        afterwards: called with a run that succeeded; gives the exit code then.
        opened: gives the run once all is checked; a new one when not given.
        also: further views of the run.
    """
    from opensloth_core.runs.directory import RunDirectory

    run: RunDirectory | None = None

    def begin() -> None:
        nonlocal run
        with clean_stdout(job.shown):
            job.refuse(config)
            run = opened() if opened else RunDirectory.create(config)

    code = _ended(job, begin)
    if run is not None and code == 0:
        code = show_run(job, config, run, also)
    if run is not None and code == 0:
        try:
            code = afterwards(run)
        except OpenSlothError as err:
            code = job.ended(err)
    if job.shown.as_json:
        tell_end(run, code)
    return code


def show_run(job: Job[Config], config: Config, run: "RunDirectory", also: Sequence[View] = ()) -> int:
    """Do the work of a run before a person's eyes and return the exit code.

    An error of ours is one line on stderr; any other exception is a bug, whose traceback goes to
    the run's `crash.log`.
    """
    from opensloth_core.runs.life import recorded_before_begun

    def work() -> None:
        with (
            RunConsole(run.events_path, shown=job.shown, also=also, since=job.since),
            clean_stdout(job.shown),
            recorded_before_begun(run),
        ):
            job.work(config, run.path)

    try:
        return _ended(job, work)
    except Exception as err:
        kind, what = type(err).__name__, " ".join(str(err).split())
        if isinstance(err, OSError) and err.errno in DISK_FAULTS:
            return job.said(f"{err.filename or run.path}: {os.strerror(err.errno)}; make room", FAILED)
        crash_path = run.path / "crash.log"
        crash_path.write_text(traceback.format_exc())
        return job.said(f"a bug in OpenSloth: {kind}: {what[:200]}; see {crash_path}", FAILED)
    return 0


def _ended(job: Job[Config], do: Callable[[], None]) -> int:
    """Do something that may be interrupted and give the exit code."""
    try:
        with signals_as_interrupts(signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            do()
        return 0
    except OpenSlothError as err:
        return job.ended(err)
    except Terminated:
        return job.said("terminated", TERMINATED)
    except HungUp:
        return job.said("the terminal was closed", HUNG_UP)
    except KeyboardInterrupt:
        return job.said("interrupted", INTERRUPTED)


@contextmanager
def signals_as_interrupts(*numbers: signal.Signals) -> Iterator[None]:
    """SIGTERM and SIGHUP raise errors of their own where Ctrl-C raises KeyboardInterrupt; twice counts once.

    Only one way of stopping has to be right then, and a job started with `&`, which ignores SIGINT,
    does not ignore SIGTERM for that. A second request would not wait for the clean-up, so it has to be
    meant: a service manager signals every process, and `uv run` passes on what its child was sent too.

    Args:
        numbers: SIGTERM, and SIGINT where no event loop runs in this thread, which takes that itself. What is
            ignored but SIGTERM stays so: SIGHUP is under nohup.
    """
    latest = -SAME_REQUEST_SECONDS

    def on_signal(signum: int, frame: FrameType | None) -> None:
        nonlocal latest
        now = time.monotonic()
        if now - latest < SAME_REQUEST_SECONDS:
            return
        latest = now
        raise _INTERRUPTS.get(signum, KeyboardInterrupt)

    before = {
        number: signal.signal(number, on_signal)
        for number in numbers
        if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
