"""Starts and ends a fork server."""

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("client.py")


@contextmanager
def fork_server(
    imports: Sequence[str], modules: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Path]:
    """A program to start in place of Python, while a process that has made some imports serves it.

    Args:
        imports: what that process imports first.
        modules: what it runs as `-m`; everything else is run by a plain Python.
        environment: what all that it runs has added to this process's environment.
    """
    # The path of a socket has room for 108 bytes, and that of an interpreter is limited too.
    with tempfile.TemporaryDirectory(prefix="warm-", dir="/tmp") as name:
        folder = Path(name)
        of_children = {**os.environ, **environment}
        settings = {"python": sys.executable, "modules": list(modules), "environment": of_children}
        (folder / "settings.json").write_text(json.dumps(settings))
        program = folder / "python"
        program.write_text(f"#!{sys.executable} -SE\n{CLIENT.read_text()}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        with socket.socket(socket.AF_UNIX) as listener, (folder / "server.log").open("wb") as log:
            listener.bind(str(folder / "socket"))
            listener.listen()
            command = [sys.executable, "-u", "-m", "tests.warm.server", str(listener.fileno()), *imports]
            server = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={
                    **of_children,
                    "WARM_PARENT_PID": str(os.getpid()),
                    # Arrow's allocator would start a thread. Its children do without it as well.
                    "JE_ARROW_MALLOC_CONF": "background_thread:false",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl-C is for this process, which ends it
            )
        try:
            yield program
        finally:
            server.terminate()
            server.wait()
