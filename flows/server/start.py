"""Starts the process that keeps a server, and waits until server and worker are up."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from flows.server.ask import answer_of
from flows.server.deployments import CODE_DIR
from flows.server.record import (
    ServerRecord,
    began_ticks,
    is_kept,
    read_record,
    remove_record,
    server_dir,
    server_lock,
    write_record,
)
from opensloth_core.checks.roots import OUTPUT_ROOTS_VARIABLE, ROOTS_VARIABLE
from opensloth_core.errors import ConfigError, StoreError, TrainingError
from opensloth_core.expanded import expanded
from opensloth_core.store.file_lock import lock_file
from opensloth_core.store.home import home_dir

OTHER_START_SECONDS = 330.0
"""How long another command may take to start the server."""

LOGS = ("keeper.log", "server.log", "worker.log")


@dataclass(frozen=True)
class Wanted:
    """A server as it is asked for."""

    port: int
    roots: tuple[str, ...]
    """Folders and beginnings of URLs that runs may read, beside what the environment opens."""

    output_roots: tuple[str, ...]
    limit: int | None
    """Runs that the worker takes at once."""


@dataclass(frozen=True)
class Started:
    """A server that is up."""

    record: ServerRecord
    is_new: bool
    seconds: float


def start_server(wanted: Wanted) -> Started:
    """Start the server of this home, or find that it is up.

    Raises:
        ConfigError: the port is taken, or another home's server uses the same database.
        StoreError: the home cannot be written.
        TrainingError: it does not start.
    """
    began = time.monotonic()
    lock = server_lock()
    if lock is None:
        return Started(_other(), False, time.monotonic() - began)
    locks = [lock]
    try:
        locks.append(_database_lock())
        _refuse_taken(wanted.port)
        return Started(_start(wanted, locks), True, time.monotonic() - began)
    finally:
        for descriptor in locks:
            os.close(descriptor)


def _other() -> ServerRecord:
    """The server that another command started, once it is up."""
    deadline = time.monotonic() + OTHER_START_SECONDS
    while time.monotonic() < deadline:
        record = read_record()
        if record is not None and record.state == "up":
            return record
        if not is_kept():
            raise TrainingError(
                "the server that was being started or stopped meanwhile is down; start it again"
            )
        time.sleep(0.1)
    raise TrainingError(f"the server is neither up nor down; see {server_dir()}")


def _start(wanted: Wanted, locks: list[int]) -> ServerRecord:
    environment = {
        **os.environ,
        ROOTS_VARIABLE: _listed(ROOTS_VARIABLE, wanted.roots),
        OUTPUT_ROOTS_VARIABLE: _listed(OUTPUT_ROOTS_VARIABLE, wanted.output_roots),
        "OPENSLOTH_HOME": str(home_dir()),
    }
    for name, value in {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}.items():
        environment.setdefault(name, value)
    if home := environment.get("PREFECT_HOME"):  # the keeper has another working directory
        environment["PREFECT_HOME"] = str(expanded(home).absolute())
    process = os.getpid()
    write_record(
        ServerRecord(
            state="starting",
            keeper=process,
            keeper_ticks=began_ticks(process) or 0,
            started=time.time(),
            port=wanted.port,
            roots=environment[ROOTS_VARIABLE],
            output_roots=environment[OUTPUT_ROOTS_VARIABLE],
            limit=wanted.limit,
        )
    )
    for name in LOGS:  # the last one's are kept
        log = server_dir() / name
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
    heard, tell = os.pipe()
    with (server_dir() / "keeper.log").open("ab") as log_file:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "flows.server.keeper", str(wanted.limit or 0), str(tell)],
            env=environment,
            cwd=CODE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            pass_fds=(*locks, tell),
            start_new_session=True,
        )
    os.close(tell)
    try:
        with os.fdopen(heard) as lines:
            line = lines.readline().strip()
    except BaseException:
        keeper.terminate()
        keeper.wait()
        remove_record()
        raise
    record = read_record()
    if line == "up" and record is not None:
        return record
    keeper.wait()
    why = line.removeprefix("failed ") or f"see {server_dir() / 'keeper.log'}"
    raise TrainingError(f"the server did not start: {why}")


def _listed(variable: str, more: tuple[str, ...]) -> str:
    return ":".join(filter(None, [os.environ.get(variable, ""), *more]))


def _database_lock() -> int:
    """Keep homes apart that share a Prefect database: their workers would take each other's runs.

    Raises:
        ConfigError: the server of another home uses it.
    """
    prefect_home = expanded(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = prefect_home / "opensloth-server.lock"
    try:
        prefect_home.mkdir(parents=True, exist_ok=True)
        descriptor = lock_file(path, wait=False)
    except OSError as err:
        raise StoreError(f"{path}: {err.strerror}; set PREFECT_HOME to a folder you can write") from err
    if descriptor is None:
        raise ConfigError(
            f"the database in {prefect_home} is used by the server of OPENSLOTH_HOME="
            f"{path.read_text().strip() or 'another home'}; stop that one, or set PREFECT_HOME to another"
            " folder"
        )
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(home_dir()).encode(), 0)
    return descriptor


def _refuse_taken(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except PermissionError as err:
        raise ConfigError(f"port {port}: {err.strerror}; give one over 1023 with --port") from err
    except OSError as err:
        address = f"http://127.0.0.1:{port}/api"
        if answer_of(address) != "down":
            raise ConfigError(
                f"port {port}: a Prefect server answers there that os-train did not start; stop it, use it "
                f"with PREFECT_API_URL={address}, or start another one with --port {port + 1}"
            ) from err
        raise ConfigError(
            f"port {port}: another program has it ({err.strerror or err}); choose another with --port"
            f" {port + 1}"
        ) from err
