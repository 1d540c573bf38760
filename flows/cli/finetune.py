"""What `os-train` does with a configuration."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from flows.cli.console import View
from flows.cli.os_train import METHODS
from flows.cli.remote import Asked, run_remote
from flows.cli.request import FinetuneRequest
from flows.cli.run import Job, run_job
from flows.cli.summary import summary
from flows.cli.tell import tell
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
    job = replace(finetune_job(request.config.method), shown=request.shown, origins=request.origins)
    if request.remote:
        asked = Asked(request.config, request.resume, request.allow_drift, request.detach)
        return run_remote(job, asked)

    def opened() -> RunDirectory:
        run = open_run(request.config, request.resume, request.allow_drift)
        if request.note is not None:
            run.events.message(request.note)
        return run

    if request.tmux is not None:
        from flows.cli.tmux.session import run_in_tmux

        return run_in_tmux(job, request, opened)
    return drive(job, request.config, opened, afterwards)


def drive(
    job: Job[OpenSlothConfig],
    config: OpenSlothConfig,
    opened: Callable[[], RunDirectory],
    afterwards: Callable[[RunDirectory], int] | None = None,
    also: Sequence[View] = (),
) -> int:
    """Do a run here and return the exit code; see `run_job`."""
    known: RunDirectory | None = None

    def opened_once() -> RunDirectory:
        nonlocal known
        known = opened()
        return known

    def conclude(run: RunDirectory) -> int:
        job.concluded(summary(run.path, read_events(run.events_path)))
        return afterwards(run) if afterwards else 0

    code = run_job(job, config, conclude, opened_once, also)
    if code != 0 and known is not None and last_state(known) != "completed" and not job.shown.as_json:
        tell(sys.stderr, resume_line(known))
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
