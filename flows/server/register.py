"""Registers deployments with a server, as `prefect deploy` does."""

import importlib
from typing import Any

from flows.server.deployments import CODE_DIR, ConcurrencyLimit, Deployment


async def register(deployments: list[Deployment]) -> list[str]:
    """Create the work pool and the deployments where they are missing; gives their full names.

    Of those that are there already only what follows from the code is brought up to date. Parameters,
    schedules, triggers and limits stay as they were set in the page.
    """
    from prefect import get_client
    from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
    from prefect.utilities.callables import parameter_schema

    pull_steps = [{"prefect.deployments.steps.set_working_directory": {"directory": str(CODE_DIR)}}]
    names = []
    async with get_client() as client:
        for pool in {entry.work_pool.name for entry in deployments}:
            try:
                await client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
            except ObjectAlreadyExists:
                continue
        for entry in deployments:
            flow = _flow(entry.entrypoint)
            by_code: dict[str, Any] = {
                "entrypoint": entry.entrypoint,
                "description": entry.description or flow.description,
                "tags": entry.tags,
                "version": entry.version,
                "pull_steps": pull_steps,
                "work_pool_name": entry.work_pool.name,
                "work_queue_name": entry.work_pool.work_queue_name,
                "enforce_parameter_schema": entry.enforce_parameter_schema,
            }
            by_code = {name: value for name, value in by_code.items() if value is not None}
            # Prefect would start a run with a parameter that no form has, which then crashes.
            schema = {**parameter_schema(flow).model_dump_for_openapi(), "additionalProperties": False}
            name = f"{flow.name}/{entry.name}"
            try:
                known = await client.read_deployment_by_name(name)
            except ObjectNotFound:
                flow_id = await client.create_flow_from_name(flow.name)
                deployment_id = await client.create_deployment(
                    flow_id,
                    entry.name,
                    parameter_openapi_schema=schema,
                    path=".",
                    parameters=entry.parameters,
                    schedules=[_schedule(one) for one in entry.schedules],
                    job_variables=entry.work_pool.job_variables,
                    paused=entry.paused,
                    **_limits(entry.concurrency_limit),
                    **by_code,
                )
                for trigger in map(_trigger, entry.triggers):
                    trigger.set_deployment_id(deployment_id)
                    await client.create_automation(trigger.as_automation())
            else:
                await client.update_deployment(
                    known.id,
                    DeploymentUpdate(parameter_openapi_schema=schema, **by_code),
                )
            names.append(name)
    return names


def _flow(entrypoint: str) -> Any:
    path, _, name = entrypoint.partition(":")
    return getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)


def _limits(limit: int | ConcurrencyLimit | None) -> dict[str, Any]:
    from prefect.client.schemas.objects import ConcurrencyOptions

    if not isinstance(limit, ConcurrencyLimit):
        return {"concurrency_limit": limit}
    options = limit.model_dump(exclude={"limit"}, exclude_none=True)
    return {
        "concurrency_limit": limit.limit,
        "concurrency_options": ConcurrencyOptions.model_validate(options),
    }


def _schedule(given: dict[str, Any]) -> Any:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

    kinds: dict[str, Any] = {"cron": CronSchedule, "interval": IntervalSchedule, "rrule": RRuleSchedule}
    own = ("active", "parameters", "slug", "max_scheduled_runs")
    when = {name: value for name, value in given.items() if name not in own}
    (kind,) = (kinds[name] for name in when if name in kinds)
    rest = {name: given[name] for name in own if given.get(name) is not None}
    return DeploymentScheduleCreate(schedule=kind.model_validate(when), **rest)


def _trigger(given: dict[str, Any]) -> Any:
    from prefect.events import DeploymentTriggerTypes
    from pydantic import TypeAdapter

    trigger: Any = TypeAdapter(DeploymentTriggerTypes).validate_python(given)
    return trigger
