"""From raw data to prepared data in the store: the first half of every training flow, and a flow alone."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from httpx import HTTPError
from prefect import State, runtime

from flows.console import outlive_console
from flows.ended import cancelled
from flows.form import form_flow
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.launch.devices import num_shards
from opensloth_core.launch.interrupts import signals_cancel
from opensloth_core.launch.side_thread import in_side_thread, stop_if_unwanted
from opensloth_core.models.start import StartFolders
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.life import record_prepared, recorded
from opensloth_core.runs.lock import run_lock
from opensloth_core.runs.resume import start_point
from opensloth_core.store.prepared import prepared_dir, prepared_key
from tasks.admit import admit
from tasks.failed import failed
from tasks.mark_crashed import mark_crashed
from tasks.preflight import check_data
from tasks.prepare_dataset import PreparedData, prepared_or_cached
from tasks.publish_data import publish_data
from tasks.show_data import show_data


def _title(config: DatasetPrepConfig) -> str:
    return f"data · {config.method} · {config.model_title} · {config.data_title}"


@form_flow("data", name="prepare-data", title=_title)
async def prepare_data(config: DatasetPrepConfig, run_dir: Path | None = None) -> Path | State:
    """Prepare data for training. Gives the folder of the prepared data."""
    run: RunDirectory | None = None
    try:
        await admit(config, run_dir=run_dir)
        outlive_console()
        await mark_crashed()
        run = RunDirectory(run_dir) if run_dir else RunDirectory.create(config)
        with signals_cancel(), run_lock(run), recorded(run):
            run.events.write("flow", flow_run_id=runtime.flow_run.id)
            return await _prepare(run)
    except asyncio.CancelledError:
        return cancelled()
    except HTTPError:  # Prefect's server does not answer
        raise
    except Exception as err:
        return failed(err, run)


async def _prepare(run: RunDirectory) -> Path:
    model_dir = await in_side_thread(check_data, run.path)
    # Data may be prepared for GPUs that another machine has.
    devices = ("cpu",) * num_shards(run.preparation().gpus)
    await launched(run, StartFolders.for_data(model_dir), devices)
    data = await prepared(run)
    await show_data(data, run.launch().tokenizer_folder)
    return publish_data(run.path) or prepared_dir(data.manifest.key)


async def launched(run: RunDirectory, start: StartFolders, devices: tuple[str, ...]) -> None:
    """Record what the processes of a run start with; its data will have one shard a device."""

    def progress(phase: str, done: int, total: int | None) -> None:
        stop_if_unwanted()
        run.events.progress(phase, done, total)

    key = await in_side_thread(
        prepared_key,
        run.preparation(),
        start.tokenizer_dir,
        len(devices),
        progress=progress,
    )
    run.write_launch(replace(start.launch(devices, key.digest), checkpoint=start_point(run)))


async def prepared(run: RunDirectory) -> PreparedData:
    """The data of a run, from the cache or made now."""
    run.events.state("preparing")
    began = time.perf_counter()
    data = await prepared_or_cached(run.path, run.launch().prepared_key)
    record_prepared(run, data.manifest, data.is_cached, time.perf_counter() - began)
    return data
