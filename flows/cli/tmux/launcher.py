"""What the first window of a session runs: reads from a pipe what to run, runs it, and keeps the window open.

Uses the standard library alone, and is run by its path without site-packages: the environment that finds ours
is what the pipe brings.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

OF_THE_WINDOW = ("TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE", "COLUMNS", "LINES")
"""Variables that are about the terminal, which is this window."""

PIPE_SECONDS = 60
"""How long whoever made the session may take; it may have been killed."""


def main(pipe: Path, lock: Path) -> int:
    """Run what the pipe says, wait for Enter, end the session, and give the exit code.

    Args:
        lock: a file to hold from before somebody can write to the pipe until what it says has run.
    """
    signal.alarm(PIPE_SECONDS)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        what = json.loads(pipe.read_text())
        signal.alarm(0)
        code = _run(what)
    print(f"\nThe run ended with exit code {code}. Enter closes this tmux session.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        if sys.stdin.readline():
            subprocess.run(["tmux", "kill-session"], check=False)
    return code


def _run(what: dict[str, Any]) -> int:
    """The exit code of a command, which gets all signals that this process gets."""
    env = {name: value for name, value in what["env"].items() if name not in OF_THE_WINDOW}
    env |= {name: os.environ[name] for name in OF_THE_WINDOW if name in os.environ}
    os.umask(what["umask"])
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        if process is not None:
            process.send_signal(number)

    # The terminal sends Ctrl-C to both; a handler, unlike SIG_IGN, is not inherited.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.signal(signal.SIGQUIT, lambda number, frame: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    process = subprocess.Popen(what["argv"], env=env, cwd=what["cwd"])
    code = process.wait()
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
