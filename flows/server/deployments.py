"""The deployments of prefect.yaml: the one list of them, which `prefect deploy` reads as well."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import flows
from flows.server.record import POOL
from opensloth_core.errors import ConfigError

CODE_DIR = Path(flows.__file__).parents[1]
"""A clone of the repository, or the folder that the packages are installed in."""

FILE = "prefect.yaml"


class _Strict(BaseModel):
    # What this module does not understand would not take effect.
    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkPool(_Strict):
    """Where the runs of a deployment wait for a worker."""

    name: str = POOL
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = Field(default_factory=dict)


class ConcurrencyLimit(_Strict):
    """How many runs of a deployment there may be at once, and what becomes of one more."""

    limit: int
    collision_strategy: str = "ENQUEUE"
    grace_period_seconds: int | None = None


class Deployment(_Strict):
    """One entry of the file."""

    name: str
    entrypoint: str
    """`flows/finetune.py:finetune_sft`."""

    description: str | None = None
    tags: list[str] = Field(default_factory=list)
    version: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    schedules: list[dict[str, Any]] = Field(default_factory=list)
    triggers: list[dict[str, Any]] = Field(default_factory=list)
    concurrency_limit: int | ConcurrencyLimit | None = None
    enforce_parameter_schema: bool = True
    paused: bool | None = None
    work_pool: WorkPool = WorkPool()


def deployments_file() -> Path:
    """The file, in a clone or as it was installed.

    Raises:
        ConfigError: it is nowhere.
    """
    cloned = CODE_DIR / "deployments" / FILE
    if cloned.is_file():
        return cloned
    try:
        installed = [Path(str(f.locate())) for f in distribution("opensloth").files or [] if f.name == FILE]
    except PackageNotFoundError:
        installed = []
    for path in installed:
        if path.is_file():
            return path
    raise ConfigError(f"{cloned}: not found, nor an installed one; install opensloth again, or clone it")


def read_deployments(path: Path) -> list[Deployment]:
    """The entries of a file.

    Raises:
        ConfigError: an entry holds what is not understood here.
    """
    entries = yaml.safe_load(path.read_text())["deployments"]
    try:
        return [Deployment.model_validate(entry) for entry in entries]
    except ValidationError as err:
        first = err.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path}: {place}: {first['msg']}; register it with prefect deploy") from err
