"""How a run that failed ends in Prefect's page: one sentence that says what happened and what to do."""

import re
from pathlib import Path
from typing import Any

from prefect import State
from prefect.logging import get_run_logger
from prefect.states import Failed

from opensloth_core.errors import OpenSlothError
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.training.checkpoint.manifest import newest_whole

_RANK = re.compile(r"rank (\d+) ")
_LAST_LINES = "; its last lines:"


def failed(err: Exception, run: RunDirectory | None) -> State[Any]:
    """The state of a flow run or task run that an error ended; whoever called that gets the error raised.

    Prefect would put `Flow run encountered an exception: ConfigError: ` before the message, and a traceback
    into the log of a run whose user wrote a wrong path.

    Args:
        run: the run's directory, where it has one by now.
    """
    message = sentence(err, run)
    if not isinstance(err, OpenSlothError):
        get_run_logger().error("a bug in OpenSloth", exc_info=err)
    elif "\n" in str(err).strip():  # Prefect logs the message of the state itself
        get_run_logger().error("%s", err)
    return Failed(message=message, data=err)


def sentence(err: Exception, run: RunDirectory | None) -> str:
    """What happened and what to do, on one line."""
    if not isinstance(err, OpenSlothError):
        what = " ".join(str(err).split())[:300]
        where = f" and {run.path}" if run else ""
        return (
            f"a bug in OpenSloth: {type(err).__name__}: {what}; please report it, with this run's log{where}"
        )
    text = str(err).strip()
    if _LAST_LINES in text:
        text = text[: text.index(_LAST_LINES)]
    text = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    if err.exit_code == 2 or run is None:
        return text
    parts = [text, f"log: {_log(run, text)}"]
    if newest := newest_whole(run.checkpoints_dir, in_full=False):
        parts.append(f"to go on after step {newest.step}: resume {run.path.name}")
    return "; ".join(parts)


def _log(run: RunDirectory, text: str) -> Path:
    if match := _RANK.match(text):
        return run.log_path(int(match[1]))
    is_of_data = text.startswith("data preparation") and run.prepare_log_path.is_file()
    return run.prepare_log_path if is_of_data else run.log_path(0).parent
