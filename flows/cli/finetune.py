"""What `os-train` does with a configuration."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.os_train import METHODS
from flows.cli.run import Job, run_job
from flows.cli.summary import summary
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.events import read_events

if TYPE_CHECKING:
    from opensloth_core.runs.directory import RunDirectory


def run_finetune(config: OpenSlothConfig, afterwards: Callable[["RunDirectory"], int] | None = None) -> int:
    """Fine-tune before a person's eyes and return the exit code.

    Args:
        afterwards: called with a run that succeeded; gives the exit code then.
    """

    def conclude(run: "RunDirectory") -> int:
        print(summary(run.path, read_events(run.events_path)))
        return afterwards(run) if afterwards else 0

    return run_job(finetune_job(config.method), config, conclude)


def finetune_job(method: str) -> Job[OpenSlothConfig]:
    """The job of a training method."""
    return Job("os-train", METHODS[method], _refuse, _work)


def _refuse(config: OpenSlothConfig) -> None:
    from opensloth_core.preflight import refuse_impossible

    refuse_impossible(config)


def _work(config: OpenSlothConfig, run_dir: Path) -> None:
    # Imported with the console already up: Prefect alone takes seconds.
    from flows.session import run_finetune_sft

    run_finetune_sft(config, run_dir)
