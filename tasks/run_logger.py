"""Lines of a child process as log lines of the Prefect run that owns it."""

from collections.abc import Callable

from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger


def line_logger() -> Callable[[str], None]:
    """Logs to the current task run."""
    logger = get_run_logger()
    return logger.info


def subflow_line_logger() -> Callable[[str], None]:
    """Logs to the current flow run, also where a task run surrounds it.

    `get_run_logger` inside a subflow that a task called finds the task's context.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("a rank runs inside a flow run")
    return flow_run_logger(context.flow_run).info
