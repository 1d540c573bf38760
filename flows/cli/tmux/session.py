"""Starts a run in a tmux session, and says how to get there."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from flows.cli.request import AUTO, FinetuneRequest
from flows.cli.run import Job, run_job
from flows.cli.runs.words import EXIT_CODES
from flows.cli.shown import Shown
from flows.cli.tmux import launcher
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, TrainingError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.find import last_state
from opensloth_core.runs.lock import is_running

BEGIN_SECONDS = 20.0
"""How long the first window may take until it asks for what it is to run."""

RESUME_SECONDS = 120.0
"""How long a run that goes on may take until somebody drives it again; a cold Prefect takes half of that."""

POLL_SECONDS = 0.05
SILENT = Shown(quiet=True)
FIRST_WINDOW = "workflow"


def run_in_tmux(
    job: Job[OpenSlothConfig], request: FinetuneRequest, opened: Callable[[], RunDirectory]
) -> int:
    """Check all that can be checked, start the run in a session, and give the exit code of having done so.

    Args:
        opened: gives the run once all is checked.
    """

    def refuse(config: OpenSlothConfig) -> None:
        _refuse_session(request.tmux)
        job.refuse(config)

    def begin(config: OpenSlothConfig, run_dir: Path) -> None:
        _begin(RunDirectory(run_dir), _session_name(request.tmux, run_dir.name), request, job.since)

    def told(run: RunDirectory) -> int:
        session = _session_name(request.tmux, run.path.name)
        # One session within another is of no use: tmux refuses it, and switches instead.
        attach = ["switch-client" if os.environ.get("TMUX") else "attach", "-t", session]
        print(f"Run      {run.path.name}")
        print(f"Attach   tmux {' '.join(attach)}")
        print(f"Wait     os-train runs wait {run.path.name}", flush=True)
        if not (request.attach and sys.stdout.isatty()):
            return 0
        subprocess.run(["tmux", *attach[:-1], f"={session}"], check=False)
        return EXIT_CODES.get(last_state(run) or "", 0)

    # Its own view shows nothing: the run is shown in the session.
    return run_job(replace(job, refuse=refuse, work=begin, shown=SILENT), request.config, told, opened)


def _begin(run: RunDirectory, session: str, request: FinetuneRequest, since: float) -> None:
    """Start the session, and give its first window what it is to run.

    That goes through a pipe, not by the command line or a file, which others could read: the environment may
    hold secrets. A server of tmux has the environment it was started in, however long ago.
    """
    was_resumed = last_state(run) != "created"
    try:
        with tempfile.TemporaryDirectory() as folder:
            pipe = Path(folder) / "pipe"
            os.mkfifo(pipe, 0o600)
            first = [launcher.__file__, str(pipe), str(run.session_path)]
            _make_session(session, [sys.executable, "-I", "-S", *first])
            _hand_over(pipe, session, _what_to_run(run, request, since))
    except TrainingError as err:
        run.events.state("failed", str(err))
        raise
    if was_resumed:
        # Until then its record says how it ended before, which `os-train runs wait` would tell.
        _wait_until_driven(run, session)


def _what_to_run(run: RunDirectory, request: FinetuneRequest, since: float) -> bytes:
    umask = os.umask(0)
    os.umask(umask)
    return json.dumps(
        {
            "argv": [
                sys.executable,
                "-m",
                "flows.cli.tmux.inside",
                str(run.path),
                str(since),
                *request.shown.flags,
            ],
            "cwd": str(Path.cwd()),
            "env": dict(os.environ),
            "umask": umask,
        }
    ).encode()


def _make_session(session: str, command: list[str]) -> None:
    made = _tmux("new-session", "-d", "-s", session, "-n", FIRST_WINDOW, "-c", str(Path.cwd()), *command)
    if made.returncode != 0:
        why = " ".join(made.stderr.split()) or f"exit code {made.returncode}"
        raise TrainingError(f"tmux made no session {session}: {why}; train without --tmux, or mend that")
    # Some have sessions end that nobody looks at.
    _tmux("set-option", "-t", f"={session}:", "destroy-unattached", "off")


def _hand_over(pipe: Path, session: str, what: bytes) -> None:
    """Write to the pipe once the window reads from it."""
    deadline = time.monotonic() + BEGIN_SECONDS
    while True:
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as err:
            if time.monotonic() > deadline:
                _tmux("kill-session", "-t", f"={session}")
                raise TrainingError(
                    f"the tmux session {session} did not begin within {BEGIN_SECONDS:g} s; free the machine, "
                    "or train without --tmux"
                ) from err
            time.sleep(POLL_SECONDS)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as file:
        file.write(what)


def _wait_until_driven(run: RunDirectory, session: str) -> None:
    deadline = time.monotonic() + RESUME_SECONDS
    while not is_running(run) and time.monotonic() < deadline and _exists(session):
        time.sleep(POLL_SECONDS)


def _session_name(asked: str | None, run_name: str) -> str:
    """What was asked for; else the run's name as tmux can have it."""
    return re.sub(r"[^\w-]", "_", run_name) if asked in (None, AUTO) else str(asked)


def _refuse_session(asked: str | None) -> None:
    """Refuse what tmux could not do.

    Raises:
        ConfigError: tmux is not there, cannot have such a name, or has it.
    """
    if shutil.which("tmux") is None:
        raise ConfigError(
            "tmux: is not installed here; install the package tmux, or drop --tmux (nohup os-train … & "
            "outlives a terminal too)"
        )
    if asked in (None, AUTO):
        return
    if not re.fullmatch(r"\w[\w-]*", str(asked)):
        raise ConfigError(
            f"tmux {asked!r}: no name for a tmux session; give letters, digits, - and _, or --tmux alone"
        )
    if _exists(str(asked)):
        raise ConfigError(
            f"tmux {asked}: there is such a session; look at it (tmux attach -t {asked}), end it "
            f"(tmux kill-session -t {asked}), or give another name"
        )


def _exists(session: str) -> bool:
    return _tmux("has-session", "-t", f"={session}").returncode == 0


def _tmux(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["tmux", *words], capture_output=True, text=True, check=False)
