"""Runs one configuration before a person's eyes, and turns how it ended into an exit code."""

import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from flows.cli.console import RunConsole
from flows.cli.flags import flags_of
from flows.cli.settings import in_flags
from flows.cli.summary import summary
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, OpenSlothError
from opensloth_core.runs.events import read_events

if TYPE_CHECKING:
    from opensloth_core.runs.directory import RunDirectory

Work = Callable[[OpenSlothConfig, Path], None]

FAILED = 1
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM came; cleans up exactly as Ctrl-C does."""


def run_finetune(config: OpenSlothConfig, afterwards: Callable[["RunDirectory"], int] | None = None) -> int:
    """Check, fine-tune, show it, and return the exit code; what is refused leaves nothing behind.

    Args:
        afterwards: called with a run that succeeded; gives the exit code then.
    """
    from opensloth_core.preflight import refuse_impossible
    from opensloth_core.runs.directory import RunDirectory

    try:
        refuse_impossible(config)
        run = RunDirectory.create(config)
    except ConfigError as err:
        return _end(in_flags(err, type(config), flags_of(type(config))), err.exit_code)
    except OpenSlothError as err:
        return _end(str(err), err.exit_code)
    code = show_run(config, run, _run_flow)
    if code != 0:
        return code
    print(summary(run.path, read_events(run.events_path)))
    try:
        return afterwards(run) if afterwards else 0
    except OpenSlothError as err:
        return _end(str(err), err.exit_code)


def show_run(
    config: OpenSlothConfig, run: "RunDirectory", work: Callable[[OpenSlothConfig, Path], None]
) -> int:
    """Do the work of a run before a person's eyes and return the exit code.

    An error of ours is one line on stderr; any other exception is a bug, whose traceback goes to
    the run's `crash.log`.
    """
    try:
        with _sigterm_as_interrupt(), RunConsole(run.events_path):
            work(config, run.path)
    except ConfigError as err:
        return _end(in_flags(err, type(config), flags_of(type(config))), err.exit_code)
    except OpenSlothError as err:
        return _end(str(err), err.exit_code)
    except Terminated:
        return _end("terminated", TERMINATED)
    except KeyboardInterrupt:
        return _end("interrupted", INTERRUPTED)
    except Exception as err:
        crash_path = run.path / "crash.log"
        crash_path.write_text(traceback.format_exc())
        kind, what = type(err).__name__, " ".join(str(err).split())
        return _end(f"a bug in OpenSloth: {kind}: {what[:200]}; see {crash_path}", FAILED)
    return 0


def _run_flow(config: OpenSlothConfig, run_dir: Path) -> None:
    # Imported with the console already up: Prefect alone takes seconds.
    from flows.session import run_flow

    run_flow(config, run_dir)


def _end(message: str, exit_code: int) -> int:
    print(f"os-train: {message}", file=sys.stderr)
    return exit_code


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM raises `Terminated` where Ctrl-C would raise KeyboardInterrupt.

    Only one way of stopping has to be right then, and a job started with `&`, which ignores SIGINT,
    does not ignore SIGTERM for that.
    """

    def on_sigterm(signum: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
