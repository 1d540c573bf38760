"""What can be known to fail before anything expensive starts."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.probe import probe
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.errors import ConfigError
from opensloth_core.launch.devices import resolve_devices
from opensloth_core.models.locate import check_model, model_folder


@dataclass(frozen=True)
class Preflight:
    """What the checks found out."""

    model_dir: Path
    """Folder of the model."""

    devices: tuple[str, ...]
    """One torch device a rank."""


def preflight(config: OpenSlothConfig, say: Callable[[str], None] = lambda text: None) -> Preflight:
    """Everything `refuse_impossible` checks; then finds, fetches or builds the model's folder.

    Args:
        config: the run's configuration.
        say: told before a step that takes long.

    Raises:
        DataError, ConfigError: see `refuse_impossible`.
        ModelError: no such model, or it cannot be fetched.
    """
    devices = refuse_impossible(config)
    return Preflight(model_folder(config.model, say), devices)


def refuse_impossible(config: OpenSlothConfig) -> tuple[str, ...]:
    """Check data, devices, settings, outputs and model without writing anything. Gives the devices.

    Raises:
        DataError: the input is missing, unreadable or empty, or holds nothing that can be trained on.
        ConfigError: devices, batch settings or an output folder cannot be had.
        ModelError: a model folder that is none, or a hub model that cannot be reached.
    """
    files = find_inputs(config.data, config.split)
    devices = resolve_devices(config.gpus)
    config.batch_plan(len(devices))
    _check_settings(config, on_cpu=devices[0] == "cpu")
    for name in ("output", "data_output"):
        folder = getattr(config, name)
        if folder is not None:
            check_output(name, Path(folder))
    _check_apart(config.output, config.data_output)
    check_model(config.model)
    probe(files, config)
    return devices


def data_preflight(config: DatasetPrepConfig, say: Callable[[str], None] = lambda text: None) -> Path:
    """Everything `refuse_unpreparable` checks; then finds, fetches or builds the model's folder.

    Args:
        config: what to prepare.
        say: told before a step that takes long.

    Raises:
        DataError, ConfigError: see `refuse_unpreparable`.
        ModelError: no such model, or it cannot be fetched.
    """
    refuse_unpreparable(config)
    return model_folder(config.model, say)


def refuse_unpreparable(config: DatasetPrepConfig) -> None:
    """Check data, output and model of a preparation without writing anything.

    Its GPUs are not looked for: data may be prepared for those of another machine.

    Raises:
        DataError: the input is missing, unreadable or empty, or holds nothing that can be trained on.
        ConfigError: the output folder cannot be had.
        ModelError: a model folder that is none, or a hub model that cannot be reached.
    """
    files = find_inputs(config.data, config.split)
    if config.data_output is not None:
        check_output("data_output", Path(config.data_output))
    check_model(config.model)
    probe(files, config)


def check_output(name: str, folder: Path) -> None:
    """Refuse an output folder that holds something or cannot be written; leaves nothing behind."""
    try:
        _check_output(name, folder)
    except OSError as err:
        raise ConfigError(f"{name} {folder}: cannot be read: {err.strerror}") from err


def _check_output(name: str, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{name} {folder}: exists and is not a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{name} {folder}: the folder is not empty; give a new or empty one")
    if os.path.ismount(folder):
        raise ConfigError(
            f"{name} {folder}: is a mount point, which cannot be replaced; give a new folder in it"
        )
    # A copy is made beside the folder and renamed into its place.
    for place in (folder.absolute(), folder.absolute().parent):
        _check_writable(name, folder, place)


def _check_writable(name: str, folder: Path, base: Path) -> None:
    while not base.exists():
        base = base.parent
    try:
        # The superuser may write into what others protected; a folder nobody may write is meant so.
        if not base.stat().st_mode & 0o222:
            raise PermissionError(13, "it is read-only")
        with tempfile.TemporaryDirectory(dir=base):
            pass
    except OSError as err:
        raise ConfigError(f"{name} {folder}: cannot write to {base}: {err.strerror}") from err


def _check_apart(output: Path | None, data_output: Path | None) -> None:
    """Each export fills a new folder, so the data, which comes first, may not be put into the other's."""
    if output is None or data_output is None:
        return
    data_folder = data_output.resolve()
    if output.resolve() in (data_folder, *data_folder.parents):
        raise ConfigError(
            f"data_output {data_output}: is the folder of output {output} or lies in it; give two apart"
        )


def _check_settings(config: OpenSlothConfig, on_cpu: bool) -> None:
    if on_cpu and config.finetuning_type == "qlora":
        raise ConfigError("finetuning_type qlora: 4-bit training needs a GPU; use lora")
    if on_cpu and config.training.optimizer == "adamw_8bit":
        raise ConfigError("optimizer adamw_8bit: needs a GPU; use adamw_torch")
    if config.finetuning_type == "full" and "lora" in config.model_fields_set:
        given = ", ".join(sorted(config.lora.model_fields_set))
        raise ConfigError(f"finetuning_type full: there is no adapter, {given} would have no effect; drop it")
