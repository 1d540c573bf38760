"""From raw data to prepared data in the store: the first half of every training flow, and a flow alone."""

import asyncio
import time
from pathlib import Path

from prefect import State, flow, runtime

from flows.ended import cancelled
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.launch.devices import num_shards
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.life import record_prepared, recorded
from opensloth_core.store.prepared import PreparedManifest, prepared_dir, prepared_key
from tasks.preflight import check_data
from tasks.prepare_dataset import prepared_or_cached
from tasks.publish_data import publish_data


def run_name() -> str:
    """`data · dpo · gemma-3-4b-it · pairs · 2 GPUs`, from the parameters of the current flow run."""
    config = DatasetPrepConfig.of(runtime.flow_run.parameters["config"])
    return f"data · {config.method} · {Path(config.model).name} · {config.data_title}"


@flow(name="prepare-data", flow_run_name=run_name, persist_result=False)
async def prepare_data(config: DatasetPrepConfig, run_dir: Path | None = None) -> Path | State:
    """Prepare data for training. Gives the folder of the prepared data.

    Args:
        config: What to prepare for which model, and how.
        run_dir: An existing run directory to use; a new one when not given.
    """
    run = RunDirectory(run_dir) if run_dir else RunDirectory.create(config)
    try:
        with recorded(run):
            return await _prepare(run)
    except asyncio.CancelledError:
        return cancelled()


async def _prepare(run: RunDirectory) -> Path:
    model_dir = await asyncio.to_thread(check_data, run.path)
    # Data may be prepared for GPUs that another machine has.
    devices = ("cpu",) * num_shards(run.preparation().gpus)
    manifest = await prepared(run, model_dir, devices)
    return publish_data(run.path) or prepared_dir(manifest.key)


async def prepared(run: RunDirectory, model_dir: Path, devices: tuple[str, ...]) -> PreparedManifest:
    """The data of a run, from the cache or made now: one shard a device."""
    key = await asyncio.to_thread(prepared_key, run.preparation(), model_dir, len(devices))
    run.write_launch(Launch(str(model_dir), devices, key.digest))
    run.events.state("preparing")
    began = time.perf_counter()
    manifest, cached = await prepared_or_cached(run.path, key.digest)
    record_prepared(run, manifest, cached, time.perf_counter() - began)
    return manifest
