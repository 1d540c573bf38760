"""What `os-data` does with a configuration."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.os_data import PREPARE
from flows.cli.remote import Asked, run_remote
from flows.cli.request import PrepareRequest
from flows.cli.run import Job, run_job
from flows.cli.summary import data_summary
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.runs.events import read_events

if TYPE_CHECKING:
    from opensloth_core.runs.directory import RunDirectory


def run_prepare(request: PrepareRequest) -> int:
    """Prepare data before a person's eyes and return the exit code."""
    job = replace(PREPARE_JOB, shown=request.shown, origins=request.origins)
    if request.remote:
        return run_remote(job, Asked(request.config, is_detached=request.detach))

    def conclude(run: "RunDirectory") -> int:
        from opensloth_core.store.prepared import prepared_dir

        job.concluded(data_summary(prepared_dir(run.launch().prepared_key), read_events(run.events_path)))
        return 0

    return run_job(job, request.config, conclude)


def _refuse(config: DatasetPrepConfig) -> None:
    from opensloth_core.preflight import refuse_unpreparable

    refuse_unpreparable(config)


def _work(config: DatasetPrepConfig, run_dir: Path) -> None:
    # Imported with the console already up: Prefect alone takes seconds.
    from flows.session import run_prepare_data

    run_prepare_data(config, run_dir)


PREPARE_JOB = Job("os-data", PREPARE, _refuse, _work)
