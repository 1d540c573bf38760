"""Whether the process of a flow run lives on this machine."""

from pathlib import Path

from prefect.client.schemas.objects import FlowRun

_FLOW_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"


def is_driven(flow_run: FlowRun) -> bool:
    """Whether the process that is recorded for a flow run is still that of the flow run.

    After a reboot its number may be another's.
    """
    try:
        environment = Path(f"/proc/{flow_run.infrastructure_pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{_FLOW_RUN_VARIABLE}={flow_run.id}".encode() in environment.split(b"\0")
