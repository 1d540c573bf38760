"""Tags of a flow run, by which Prefect's page filters: method, model, data, devices, run directory."""

from collections.abc import Sequence

from prefect import get_client
from prefect.context import FlowRunContext

from opensloth_core.runs.directory import RunDirectory


def run_tags(run: RunDirectory, devices: Sequence[str] = ()) -> list[str]:
    """`sft`, `gemma-3-4b-it`, `my_data`, `2 GPUs` and the run's name.

    Args:
        devices: one torch device a rank, once they are known.
    """
    config = run.config()
    tags = [config.method, config.model_title, config.data_title]
    if count := len(devices):
        kind = ("CPU process", "CPU processes") if devices[0] == "cpu" else ("GPU", "GPUs")
        tags.append(f"{count} {kind[count > 1]}")
    return [*tags, run.path.name]


async def tag_run(run: RunDirectory, devices: Sequence[str] = ()) -> None:
    """Add a run's tags to those that the current flow run has, such as its deployment's."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    # The context knows the tags that the flow run began with.
    tags = list(dict.fromkeys([*context.flow_run.tags, *run_tags(run, devices)]))
    async with get_client() as client:
        await client.update_flow_run(context.flow_run.id, tags=tags)
