"""From raw data to a fine-tuned model: preflight, prepare (cached), train on every GPU."""

import asyncio
import time
from pathlib import Path
from typing import Any, cast

from prefect import State, flow, runtime
from prefect.states import Cancelled

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.life import record_prepared, recorded
from opensloth_core.store.prepared import prepared_key
from tasks.preflight import check
from tasks.prepare_dataset import prepared_or_cached
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
        # Prefect would call the run crashed, and our record says cancelled.
        cast("asyncio.Task[Any]", asyncio.current_task()).uncancel()
        return Cancelled(message="The run was interrupted.")


async def _finetune(run: RunDirectory) -> Path:
    checked = await asyncio.to_thread(check, run.path)
    num_shards = len(checked.devices)
    preparation = run.config().preparation
    key = await asyncio.to_thread(prepared_key, preparation, checked.model_dir, num_shards)
    run.write_launch(Launch(str(checked.model_dir), checked.devices, key.digest))

    run.events.state("preparing")
    began = time.perf_counter()
    manifest, cached = await prepared_or_cached(run.path, key.digest)
    record_prepared(run, manifest, cached, time.perf_counter() - began)

    run.events.state("warming")
    await train_model(run.path)
    return publish_model(run.path)
