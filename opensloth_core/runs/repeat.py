"""What a run is repeated with, and what is not as it was when it ran."""

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from opensloth_core.config.concealed import is_concealed
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError, DataError, ModelError
from opensloth_core.models.identity import CONFIGS, WEIGHTS, model_identity
from opensloth_core.runs.directory import Launch, RunDirectory
from opensloth_core.runs.report.record import RunRecord, read_record
from opensloth_core.store.artifact import MANIFEST
from opensloth_core.store.part_change import shown
from opensloth_core.store.prepared import prepared_dir
from opensloth_core.training.checkpoint.manifest import newest_whole

_NOT_PACKAGES = ("time", "kind", "python", "platform", "devices")
_OUTPUTS = ("output", "data_output")


@dataclass(frozen=True)
class Repetition:
    """What a run is repeated with."""

    config: OpenSlothConfig

    left_out: tuple[str, ...]
    """What of the record is not repeated, in words."""


def repetition(run: RunDirectory) -> Repetition:
    """The configuration of a run, with the number of devices and the batches that it came to.

    Raises:
        ConfigError: the run trained nothing, or its data's address had a secret in it.
    """
    record = read_record(run)
    values = dict(record.settings)
    if not values:
        raise ConfigError(
            f"{run.config_path}: cannot be read; without its settings the run cannot be repeated"
        )
    if not record.is_training:
        raise ConfigError(f"{run.path.name}: prepared data and trained nothing; os-data prepares it again")
    data = values.get("data") or []
    hidden = [source for source in ([data] if isinstance(data, str) else data) if is_concealed(str(source))]
    if hidden:
        raise ConfigError(
            f"{run.path.name}: {hidden[0]}: the record keeps no secrets of addresses; "
            "give the whole command again"
        )
    left_out = [f"{name} {values[name]}: the copy of then stays" for name in _OUTPUTS if values.get(name)]
    values = {name: value for name, value in values.items() if name not in _OUTPUTS}
    if values.get("gpus") == "auto" and record.world_size:
        values["gpus"] = record.world_size
    values["training"] = {**values.get("training", {}), **_measured(record, OpenSlothConfig.of(values))}
    return Repetition(OpenSlothConfig.of(values), tuple(left_out))


def differences(run: RunDirectory, launch: Launch, prepared_parts: Mapping[str, str]) -> list[str]:
    """What is not as it was, each in words: versions, devices, data, model files.

    Args:
        launch: what a run would be started with now.
        prepared_parts: what the key of its data is made of now.
    """
    record = read_record(run)
    return [
        *_versions(record),
        *_devices(record, launch),
        *_data(run, record, launch, prepared_parts),
        *_model(run, record, launch),
    ]


def _measured(record: RunRecord, config: OpenSlothConfig) -> dict[str, Any]:
    """The batch numbers that a run measured for itself."""
    batch = record.last("batch")
    on_gpu = any(device != "cpu" for device in record.devices)
    if batch is None or not config.measures_batch(on_gpu):
        return {}
    names = ("batch_size", "gradient_accumulation_steps", "gradient_checkpointing")
    return {name: batch[name] for name in names if batch.get(name) is not None}


def _versions(record: RunRecord) -> Iterator[str]:
    then = record.last("versions")
    if then is None:
        yield "versions: it never came to record them"
        return
    if then.get("python") and then["python"] != platform.python_version():
        yield f"Python {platform.python_version()}, was {then['python']}"
    for name, was in then.items():
        if name in _NOT_PACKAGES:
            continue
        try:
            now = version(name)
        except PackageNotFoundError:
            yield f"{name} is not installed, was {was}"
            continue
        if now != was:
            yield f"{name} {now}, was {was}"


def _devices(record: RunRecord, launch: Launch) -> Iterator[str]:
    then, now = [_kinds(devices) for devices in (record.devices, launch.devices)]
    if record.devices and then != now:
        yield f"devices: {now}, was {then}"


def _kinds(devices: tuple[str, ...]) -> str:
    return f"{len(devices)} {'CPU processes' if devices and devices[0] == 'cpu' else 'GPUs'}"


def _data(run: RunDirectory, record: RunRecord, launch: Launch, now: Mapping[str, str]) -> Iterator[str]:
    prepared = record.last("prepared")
    key = prepared["key"] if prepared else None
    if key is None:
        yield "data: it never came to prepare it"
        return
    if key == launch.prepared_key:
        return
    then = _parts(run, key)
    if then is None:
        yield f"data: key {launch.prepared_key[:12]}, was {key[:12]}; that data is no longer kept"
        return
    for name in dict.fromkeys([*then, *now]):
        if then.get(name) != now.get(name):
            yield f"data: {name} {_part(now.get(name))}, was {_part(then.get(name))}"


def _part(value: str | None) -> str:
    return "not set" if value is None else shown(value)


def _parts(run: RunDirectory, key: str) -> Mapping[str, str] | None:
    """What the key of the data was made of, where the data or a checkpoint still says so."""
    try:
        return dict(json.loads((prepared_dir(key) / MANIFEST).read_text())["parts"])
    except (OSError, ValueError, KeyError):
        checkpoint = newest_whole(run.checkpoints_dir, in_full=False)
        return checkpoint.manifest.made_with.prepared_parts if checkpoint else None


def _model(run: RunDirectory, record: RunRecord, launch: Launch) -> Iterator[str]:
    try:
        then = run.launch()
    except (OSError, ValueError, TypeError):
        return
    if (then.model_dir, then.adapter_dir) != (launch.model_dir, launch.adapter_dir):
        yield f"model: {_folders(launch)}, was {_folders(then)}"
    checkpoint = newest_whole(run.checkpoints_dir, in_full=False)
    if checkpoint is not None:
        try:
            same = model_identity(*launch.weight_folders) == checkpoint.manifest.made_with.model
        except (DataError, ModelError) as err:
            yield f"model: {err}"
            return
        if not same:
            yield f"model: the weights in {_folders(launch)} are not those of then"
        return
    # No digest was kept, so all there is to go by is when the files were written.
    begun = record.events[0]["time"] if record.events else None
    for path in _model_files(launch):
        if begun is not None and path.stat().st_mtime > begun:
            written = datetime.fromtimestamp(path.stat().st_mtime).strftime("%Y-%m-%d %H:%M")
            yield f"model: {path} was written after the run began ({written})"


def _folders(launch: Launch) -> str:
    return " with ".join(map(str, launch.weight_folders))


def _model_files(launch: Launch) -> list[Path]:
    return [
        path
        for folder in launch.weight_folders
        for path in sorted(folder.iterdir())
        if path.name in CONFIGS or path.suffix in WEIGHTS
    ]
