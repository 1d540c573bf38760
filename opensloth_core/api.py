"""Data preparation and training from a Python prompt, without an orchestrator."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opensloth_core.checks.outputs import check_output
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.launch.devices import num_shards
from opensloth_core.launch.gang import run_ranks
from opensloth_core.launch.reserve import devices_for_call
from opensloth_core.models.start import StartFolders, fetch_tokenizer
from opensloth_core.preflight import preflight
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.events import Progress, no_progress
from opensloth_core.runs.export import export_prepared, export_results
from opensloth_core.runs.find import AUTO, find_resumable
from opensloth_core.runs.life import record_prepared, recorded, reported
from opensloth_core.runs.lock import run_lock
from opensloth_core.runs.resume import start_point, take_up, with_gpus_of_checkpoint
from opensloth_core.runs.stages import enter_stage
from opensloth_core.store.obtain import obtain
from opensloth_core.store.prepared import PreparedKey, PreparedManifest, prepared_dir, prepared_key

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedData:
    """Prepared data in the store."""

    manifest: PreparedManifest
    """What it is, and what it was made of."""

    cached: bool
    """Whether it was there already."""

    @property
    def folder(self) -> Path:
        """Where its shards are."""
        return prepared_dir(self.manifest.key)


@dataclass(frozen=True)
class TrainedModel:
    """What a training run leaves."""

    adapter_dir: Path
    """The adapter (or the whole model) with its tokenizer, as PEFT and transformers load it."""

    run_dir: Path
    """Configuration, events and logs of the run."""

    final_loss: float
    """Mean loss per trained token of the last step."""


def run_prepare_data(
    config: DatasetPrepConfig | Mapping[str, Any], progress: Progress = no_progress
) -> PreparedData:
    """Prepare data, or find that the store has it.

    Args:
        config: settings, as a model or a mapping; the ancestor's names (`input`, …) are understood.
        progress: called as the work goes on.

    Raises:
        ConfigError: a setting is wrong.
        DataError: the input cannot be used.
        ModelError: the model or its tokenizer cannot be used.
    """
    config = DatasetPrepConfig.of(config)
    if config.data_output is not None:
        check_output("data_output", Path(config.data_output))
    return _prepared(config, fetch_tokenizer(config.model), num_shards(config.gpus), progress)


def _prepared(
    config: DatasetPrepConfig, model_dir: Path, shards: int, progress: Progress = no_progress
) -> PreparedData:
    key = prepared_key(config, model_dir, shards)
    manifest, cached = obtain(config, model_dir, shards, key, progress)
    if config.data_output is not None:
        export_prepared(manifest.key, Path(config.data_output))
    return PreparedData(manifest, cached)


def run_training(
    config: OpenSlothConfig | Mapping[str, Any],
    prepared: PreparedData | None = None,
    resume: Path | str | None = None,
    allow_drift: bool = False,
) -> TrainedModel:
    """Train on every device of the run, each in a process of its own, and wait for the result.

    Waits before that until the devices are free of other runs, and logs for whom.

    Args:
        config: settings; with `prepared` given, those the data was made with need not be repeated, and with a
            run to resume, none of its own.
        prepared: what `run_prepare_data` gave; prepared from `config.data` when not given.
        resume: go on with a run that did not end well, in its own directory: its folder, its name or the
            beginning of it, or "auto" for the newest unfinished one of this configuration, if there is one.
        allow_drift: go on although data, model, GPUs or settings are not what they were.

    Raises:
        ConfigError: a setting is wrong, or contradicts the prepared data; no such run to resume, one that is
            completed or running, or one that would go on with something else than it had.
        DataError, ModelError: the input or the model cannot be used.
        TrainingError: a rank failed; the message names it.
    """
    flags = config.model_dump(exclude_unset=True) if isinstance(config, OpenSlothConfig) else config
    builder = TrainingConfigBuilder()
    if prepared is not None:
        builder.with_manifest(prepared.manifest.preparation)
    unfinished = None
    if resume is not None and str(resume) != AUTO:
        unfinished = find_resumable(resume)
        builder.with_flags(unfinished.config().model_dump(exclude_unset=True) if unfinished else {})
    resolved = builder.with_flags(flags).build()
    if str(resume) == AUTO:
        unfinished = find_resumable(AUTO, resolved)
    if unfinished is not None:
        resolved = with_gpus_of_checkpoint(unfinished, resolved)
    elif prepared is not None and resolved.gpus == "auto":
        resolved = resolved.model_copy(update={"gpus": len(prepared.manifest.shards)})
    start = preflight(resolved).start
    name = "a Python program" if unfinished is None else f"run {unfinished.path.name}"
    with devices_for_call(resolved, name, lambda text, level: log.warning(text)) as devices:
        return _train(resolved, start, devices, prepared, unfinished, allow_drift)


def _train(
    resolved: OpenSlothConfig,
    start: StartFolders,
    devices: tuple[str, ...],
    prepared: PreparedData | None,
    unfinished: RunDirectory | None,
    allow_drift: bool,
) -> TrainedModel:
    began = time.perf_counter()
    preparation = resolved.preparation.model_copy(update={"data_output": None})  # exported at the end
    if prepared is None:
        prepared = _prepared(preparation, start.tokenizer_dir, len(devices))
    else:
        key = prepared_key(preparation, start.tokenizer_dir, len(devices))
        _refuse_conflict(key, prepared.manifest)
    launch = start.launch(devices, prepared.manifest.key)
    if unfinished is not None:
        take_up(unfinished, resolved, prepared.manifest.parts, launch, allow_drift)
    run = unfinished or RunDirectory.create(resolved)
    with run_lock(run), reported(run), recorded(run):
        run.write_launch(replace(launch, checkpoint=start_point(run)))
        record_prepared(run, prepared.manifest, prepared.cached, seconds=time.perf_counter() - began)
        enter_stage(run, "warming")
        run.mark_prepared(prepared.manifest.key)
        _wait_for(run_ranks(run, on_line=lambda rank, line: None))
        adapter_dir = export_results(run)
    return TrainedModel(adapter_dir, run.path, run.final_loss())


def _refuse_conflict(wanted: PreparedKey, manifest: PreparedManifest) -> None:
    """Data is trained with the settings it was prepared with, or not at all."""
    for name, part in wanted.parts.items():
        made_with = manifest.parts.get(name)
        if part != made_with:
            raise ConfigError(
                f"{name} {part} contradicts the prepared data {manifest.key}, made with {made_with}; "
                "prepare the data again or drop the setting"
            )


def _wait_for(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, also where an event loop runs already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
