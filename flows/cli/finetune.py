"""What `os-train` does with a configuration."""

import sys
from collections.abc import Callable
from pathlib import Path

from flows.cli.os_train import METHODS
from flows.cli.request import FinetuneRequest
from flows.cli.run import Job, run_job
from flows.cli.summary import summary
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import read_events
from opensloth_core.runs.find import last_state
from opensloth_core.runs.resume import open_run, resume_line


def run_finetune(request: FinetuneRequest, afterwards: Callable[[RunDirectory], int] | None = None) -> int:
    """Fine-tune before a person's eyes and return the exit code.

    Args:
        afterwards: called with a run that succeeded; gives the exit code then.
    """
    run: RunDirectory | None = None

    def opened() -> RunDirectory:
        nonlocal run
        run = open_run(request.config, request.resume, request.allow_drift)
        return run

    def conclude(run: RunDirectory) -> int:
        print(summary(run.path, read_events(run.events_path)))
        return afterwards(run) if afterwards else 0

    code = run_job(finetune_job(request.config.method), request.config, conclude, opened)
    if code != 0 and run is not None and last_state(run) != "completed":
        print(resume_line(run), file=sys.stderr)
    return code


def finetune_job(method: str) -> Job[OpenSlothConfig]:
    """The job of a training method."""
    return Job("os-train", METHODS[method], _refuse, _work)


def _refuse(config: OpenSlothConfig) -> None:
    from opensloth_core.preflight import refuse_impossible

    refuse_impossible(config)


def _work(config: OpenSlothConfig, run_dir: Path) -> None:
    # Imported with the console already up: Prefect alone takes seconds.
    from flows.session import run_finetune

    run_finetune(config, run_dir)
