"""The commands of `os-train server`; what they do is imported only once one of them is called."""

from typing import Annotated

from pydantic import BeforeValidator, Field, PositiveInt

from flows.cli.command import Command, Program
from opensloth_core.config.base import Settings


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Places = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class StartSettings(Settings):
    """What is started."""

    port: int = Field(default=4200, ge=1, le=65535)
    """Port of this machine's loopback to listen on."""

    root: Places = ()
    """Folder (or beginning of a URL: s3://bucket/sets) that runs started on the server may read data and
    models from, in addition to OPENSLOTH_ROOTS and what is in $OPENSLOTH_HOME."""

    output_root: Places = ()
    """Folder that runs started on the server may write --output to, in addition to OPENSLOTH_OUTPUT_ROOTS and
    $OPENSLOTH_HOME/outputs."""

    limit: PositiveInt | None = None
    """Runs that the worker takes at once; without it as many as come, which wait for free GPUs themselves."""


class StopSettings(Settings):
    """Nothing to choose."""


class StatusSettings(Settings):
    """How it is shown."""

    as_json: bool = False
    """Print JSON."""


class OpenSettings(Settings):
    """Nothing to choose."""


def _start(settings: StartSettings) -> int:
    from flows.cli.server.start import run_start

    is_port_given = "port" in settings.model_fields_set
    return run_start(settings.port, is_port_given, settings.root, settings.output_root, settings.limit)


def _stop(settings: StopSettings) -> int:
    from flows.cli.server.stop import run_stop

    return run_stop()


def _status(settings: StatusSettings) -> int:
    from flows.cli.server.status import run_status

    return run_status(settings.as_json)


def _open(settings: OpenSettings) -> int:
    from flows.cli.server.open import run_open

    return run_open()


START = Command(
    name="start",
    summary="Start Prefect's server with its web page, and a worker, in the background.",
    usage="os-train server start [flags]",
    description=(
        "Starts a Prefect server on 127.0.0.1 and one worker, registers the deployments, and waits until all"
        " of it answers. From then on os-train and os-data of this OPENSLOTH_HOME show their runs there; the"
        " page and --remote start runs there. Those read and write only what is opened with --root and"
        " --output-root, since everybody with an account on this machine reaches the page;"
        " PREFECT_SERVER_API_AUTH_STRING has it ask for a password. The database is Prefect's own, in"
        " PREFECT_HOME, so runs of before are in the page too."
    ),
    examples=("os-train server start", "os-train server start --root ~/data --root /models --port 4300"),
    settings=StartSettings,
    configure=StartSettings.of,
    run=_start,
)

STOP = Command(
    name="stop",
    summary="Stop server and worker; runs that the worker started are cancelled.",
    usage="os-train server stop",
    description=(
        "Cancels what the worker runs, waits for its end, and stops worker and server; within a minute and a"
        " quarter, whatever they do. Runs of os-train without --remote go on without the server. Runs that"
        " wait in the queue start with the next server."
    ),
    examples=("os-train server stop",),
    settings=StopSettings,
    configure=StopSettings.of,
    run=_stop,
)

STATUS = Command(
    name="status",
    summary="Say what is up: server, worker, address, since when, runs.",
    usage="os-train server status [flags]",
    description="Exit code 0: server and worker are up; 3: they are not, or not both.",
    examples=("os-train server status", "os-train server status --json"),
    settings=StatusSettings,
    configure=StatusSettings.of,
    run=_status,
    also={"as_json": ("--json",)},
)

OPEN = Command(
    name="open",
    summary="Open the web page in your browser.",
    usage="os-train server open",
    description="Opens the page, and prints its address. Exit code 3: the server is down.",
    examples=("os-train server open",),
    settings=OpenSettings,
    configure=OpenSettings.of,
    run=_open,
)

SERVER = Program(
    name="os-train server",
    summary="Keep a Prefect server: a web page of all runs, and a worker that runs what it is given.",
    purpose=(
        "Without one, each run brings a Prefect server of its own, which takes seconds and ends with the run."
        " There is one server for each OPENSLOTH_HOME; its record and logs are in the folder server there."
    ),
    commands={command.name: command for command in (START, STOP, STATUS, OPEN)},
)
