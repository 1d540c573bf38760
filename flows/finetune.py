"""From raw data to a fine-tuned model: preflight, prepare (cached), train on every GPU."""

import asyncio
from pathlib import Path

from prefect import State, flow, runtime

from flows.ended import cancelled
from flows.prepare import prepared
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.life import recorded
from tasks.preflight import check
from tasks.publish_model import publish_model
from tasks.train_model import train_model


def run_name() -> str:
    """`sft · gemma-3-4b-it · my_data · 2 GPUs`, from the parameters of the current flow run."""
    return OpenSlothConfig.of(runtime.flow_run.parameters["config"]).title


@flow(name="finetune-sft", flow_run_name=run_name, persist_result=False)
async def finetune_sft(config: OpenSlothConfig, run_dir: Path | None = None) -> Path | State:
    """Fine-tune a model on instruction data. Gives the folder of the adapter.

    Args:
        config: What to train on what, and how.
        run_dir: An existing run directory to use; a new one when not given.
    """
    run = RunDirectory(run_dir) if run_dir else RunDirectory.create(config)
    try:
        with recorded(run):
            return await _finetune(run)
    except asyncio.CancelledError:
        return cancelled()


async def _finetune(run: RunDirectory) -> Path:
    checked = await asyncio.to_thread(check, run.path)
    await prepared(run, checked.model_dir, checked.devices)
    run.events.state("warming")
    await train_model(run.path)
    return publish_model(run.path)
