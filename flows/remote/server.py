"""Which server takes the runs of a command that does not run them itself."""

import os
from dataclasses import dataclass

from flows.server.ask import PASSWORD_VARIABLE, answer_of
from flows.server.record import ServerRecord, read_record
from opensloth_core.checks.parameters import check_parameters
from opensloth_core.checks.roots import OUTPUT_ROOTS_VARIABLE, ROOTS_VARIABLE, confine
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.doctor.server import examine_server, server_url
from opensloth_core.errors import ConfigError, TrainingError
from opensloth_core.runs.report.redact import redacted

_REMOTE_SECONDS = 10.0


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    address: str
    """Of its API."""

    kept: ServerRecord | None
    """Its record where it is the one that `os-train server` keeps for this home."""

    @property
    def is_here(self) -> bool:
        """Whether its worker sees the files of this machine, for all that is known."""
        return self.kept is not None


def find_server() -> Server:
    """The configured server, else the one that `os-train server` keeps.

    Raises:
        ConfigError: there is none, or it asks for a password.
        TrainingError: it does not answer.
    """
    kept = read_record()
    address = server_url() or (kept.address if kept else None)
    if address is None:
        raise ConfigError(
            "--remote: no server is up to submit to; start one: os-train server start, or set PREFECT_API_URL"
        )
    server = Server(address, kept if kept and kept.address == address else None)
    shown = redacted(address)
    match answer_of(address, _REMOTE_SECONDS):
        case "password":
            why = "refuses our password or key" if _has_secret() else "asks for a password"
            raise ConfigError(f"--remote: {shown} {why}; set PREFECT_API_AUTH_STRING to the server's")
        case "down" if server.kept:
            raise TrainingError(f"--remote: {shown} does not answer; see os-train server status")
        case "down":
            finding = examine_server(address)
            why = f"{finding.text}; {finding.remedy}" if finding.remedy else f"{shown} is no Prefect server"
            raise TrainingError(f"--remote: {why}")
    return server


def _has_secret() -> bool:
    return any(map(os.environ.get, ("PREFECT_API_KEY", PASSWORD_VARIABLE)))


def confine_as(record: ServerRecord, config: DatasetPrepConfig, resume: str | None) -> None:
    """Give this process the rights that the server's runs have, and refuse what those may not be given.

    Raises:
        ConfigError: see `check_parameters`.
    """
    os.environ[ROOTS_VARIABLE] = record.roots
    os.environ[OUTPUT_ROOTS_VARIABLE] = record.output_roots
    confine()
    check_parameters(config, resume, None)
