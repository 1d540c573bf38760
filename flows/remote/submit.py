"""Asks a server for a run of one of its deployments."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flows.parameters import parameters_of
from flows.server.record import POOL
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, TrainingError
from opensloth_core.readme import DEPLOYMENTS, more_in_readme


@dataclass(frozen=True)
class Submitted:
    """A run that a server was asked for."""

    id: UUID
    name: str
    page: str
    """Where the web page shows it."""


def submit(client: Any, config: DatasetPrepConfig, resume: str | None, allow_drift: bool) -> Submitted:
    """Ask for a run of a configuration.

    Raises:
        ConfigError: the server lacks the deployment, or refuses the parameters.
        TrainingError: it does not answer.
    """
    from httpx import HTTPError
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    is_training = isinstance(config, OpenSlothConfig)
    deployment_name = f"finetune-{config.method}/local" if is_training else "prepare-data/local-data"
    name = config.title if isinstance(config, OpenSlothConfig) else f"data · {config.data_title}"
    parameters = parameters_of(config)
    if is_training:
        # Said also where it is not: the deployment's own default resumes.
        parameters |= {"resume": resume, "allow_drift": allow_drift}
    address = str(client.api_url).rstrip("/")
    try:
        deployment = client.read_deployment_by_name(deployment_name)
        run = client.create_flow_run_from_deployment(deployment.id, parameters=parameters, name=name)
    except ObjectNotFound as err:
        raise ConfigError(
            f"--remote: {address} has no deployment {deployment_name}; os-train server start registers them"
            f"{more_in_readme('With a server of your own', DEPLOYMENTS)}"
        ) from err
    except PrefectHTTPStatusError as err:
        raise ConfigError(f"--remote: {address} refuses the run: {_reason(err)}") from err
    except HTTPError as err:
        raise TrainingError(
            f"--remote: {address} does not answer ({type(err).__name__}); see its page whether it has the run"
        ) from err
    return Submitted(run.id, name, f"{address.removesuffix('/api')}/runs/flow-run/{run.id}")


def has_worker(client: Any) -> bool:
    """Whether a worker of the pool says that it is there."""
    from prefect.exceptions import ObjectNotFound

    try:
        workers = client.read_workers_for_work_pool(POOL)
    except ObjectNotFound:
        return False
    return any(worker.status == "ONLINE" for worker in workers)


def others_going_on(client: Any, run: Submitted) -> list[str]:
    """Names of the other runs that workers of the pool are at."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
        WorkPoolFilter,
        WorkPoolFilterName,
    )
    from prefect.client.schemas.objects import StateType

    going_on = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING, StateType.CANCELLING])
    found = client.read_flow_runs(
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=going_on)),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL])),
    )
    return [str(one.name) for one in found if one.id != run.id]


def _reason(err: Any) -> str:
    try:
        return " ".join(str(err.response.json()["detail"]).split())[:300]
    except (ValueError, KeyError, TypeError):
        return f"status {err.response.status_code}"
