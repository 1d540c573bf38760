"""The process that has the imports done and forks: `python -u -m tests.warm.server SOCKET_FD MODULE…`.

It has one thread, since a fork has no other: a lock that another one held would stay locked.

    client → its argv, folder and environment as JSON behind eight bytes of length, and its fds 0, 1, 2
    client ← `pid N` from the child, then `code N` once that has ended; only this where it ends at once

A client that hangs up, for which its end is enough, has its child killed.
"""

import array
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.warm.environment import take_on

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the one that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def check_alone() -> None:
    """Raises where a library started a thread."""
    names = [(path / "comm").read_text().strip() for path in Path("/proc/self/task").iterdir()]
    if len(names) > 1:
        raise RuntimeError(f"the fork server has threads, which no fork of it would have: {names}")


class Children:
    """The processes that run now, each with the connection of the client that waits for it."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._pids: dict[int, tuple[int, socket.socket, int]] = {}
        """By the fd that was ready, a pidfd or a connection's: process id, connection and pidfd."""

    def listen(self, listener: socket.socket) -> None:
        self._poll.register(listener, select.POLLIN)

    def add(self, pid: int, connection: socket.socket) -> None:
        pidfd = os.pidfd_open(pid)
        for fd in (pidfd, connection.fileno()):
            self._poll.register(fd, select.POLLIN)
            self._pids[fd] = (pid, connection, pidfd)

    def next_fd(self) -> int:
        """Waits for something to do."""
        return self._poll.poll()[0][0]

    def look(self, fd: int) -> None:
        """A child ended, or the client hung up, which says nothing else."""
        pid, connection, pidfd = self._pids[fd]
        if fd != pidfd:
            self._poll.unregister(fd)
            self._kill_group(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # before it had a group of its own
            return
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._kill_group(pid)
        with suppress(OSError):
            connection.sendall(f"code {code}\n".encode())
        for one in (pidfd, connection.fileno()):
            with suppress(KeyError):
                self._poll.unregister(one)
            del self._pids[one]
        os.close(pidfd)
        connection.close()

    def close(self) -> None:
        """In a child, which has nothing to do with them."""
        for _, connection, pidfd in set(self._pids.values()):
            connection.close()
            os.close(pidfd)

    @staticmethod
    def _kill_group(pid: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """A client's request and its fds."""
    fds = array.array("i")
    length, rights, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * fds.itemsize))
    for _level, _kind, content in rights:
        fds.frombytes(content)
    with connection.makefile("rb") as stream:
        content = stream.read(int.from_bytes(length, "little"))
    return json.loads(content), list(fds)


def serve(listener: socket.socket) -> tuple[dict[str, Any], list[int], socket.socket]:
    """Fork for every client; returns only in the children, with what the client sent and where to answer."""
    children = Children()
    children.listen(listener)
    server = os.getpid()
    while True:
        fd = children.next_fd()
        if fd != listener.fileno():
            children.look(fd)
            continue
        connection, _ = listener.accept()
        try:
            request, fds = receive(connection)
        except (ValueError, OSError):  # killed while it sent
            connection.close()
            continue
        pid = os.fork()
        if pid == 0:
            os.setsid()
            die_with(server)
            children.close()
            listener.close()
            return request, fds, connection
        for one in fds:
            os.close(one)
        children.add(pid, connection)


def become(request: dict[str, Any], fds: list[int], first_path: str) -> str:
    """Be as the client was started to be; the module to run."""
    for target, one in enumerate(fds):
        os.dup2(one, target)
        os.close(one)
    os.chdir(request["cwd"])
    sys.path[sys.path.index(first_path)] = request["cwd"]
    environment = request["environment"]
    if "OPENSLOTH_PARENT_PID" in environment:
        environment["OPENSLOTH_PARENT_PID"] = str(os.getppid())
    module, *arguments = request["argv"]
    sys.argv[:] = [module, *arguments]
    return str(module)


def main() -> None:
    die_with(int(os.environ.pop("WARM_PARENT_PID")))
    listener = socket.socket(fileno=int(sys.argv[1]))
    first_path, before = sys.path[0], dict(os.environ)
    for name in sys.argv[2:]:
        importlib.import_module(name)
    check_alone()
    after = dict(os.environ)
    gc.collect()
    gc.freeze()  # a collection in a child would write to all these pages
    request, fds, connection = serve(listener)
    module = become(request, fds, first_path)
    take_on(request["environment"], before, after)
    connection.sendall(f"pid {os.getpid()}\n".encode())
    connection.close()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
