"""What can be known to fail before anything expensive starts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.checks.outputs import check_apart, check_output
from opensloth_core.checks.rewards import check_rewards
from opensloth_core.checks.settings import check_settings
from opensloth_core.checks.trackers import check_trackers
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.probe import probe
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.launch.devices import wanted_devices
from opensloth_core.models.locate import check_model
from opensloth_core.models.start import (
    StartFolders,
    fetch_start,
    fetch_tokenizer,
    find_start,
    refuse_start,
)


@dataclass(frozen=True)
class Preflight:
    """What the checks found out."""

    start: StartFolders
    """Folders of model, tokenizer and adapter."""

    devices: tuple[str, ...]
    """One torch device a rank, where no other run has any; what a run gets is known once it holds them."""


def preflight(config: OpenSlothConfig, say: Callable[[str], None] = lambda text: None) -> Preflight:
    """Everything `refuse_impossible` checks; then finds, fetches or builds what the run starts from.

    Args:
        config: the run's configuration.
        say: told before a step that takes long, and what is worth knowing.

    Raises:
        DataError, ConfigError: see `refuse_impossible`.
        ModelError: no such model or adapter, or it cannot be fetched.
        StoreError: a folder cannot be written.
    """
    devices = refuse_impossible(config)
    return Preflight(fetch_start(config, say), devices)


def refuse_impossible(config: OpenSlothConfig) -> tuple[str, ...]:
    """Check data, devices, settings, outputs and model without writing anything.

    Gives the devices that the run would have if it were alone.

    Raises:
        DataError: the input is missing, unreadable or empty, or holds nothing that can be trained on.
        ConfigError: devices, batch numbers, rewards, trackers or an output folder cannot be had, or a
            setting could not take effect.
        ModelError: a model's or adapter's folder that is none, or a hub model that cannot be reached.
    """
    files = find_inputs(config.data, config.split)
    devices = wanted_devices(config).best
    check_settings(config, on_cpu=devices[0] == "cpu")
    check_trackers(config.training.report_to)
    for name in ("output", "data_output"):
        folder = getattr(config, name)
        if folder is not None:
            check_output(name, Path(folder))
    check_apart(config.output, config.data_output)
    refuse_start(config)
    check_rewards(config, probe(files, config))
    return devices


def data_preflight(config: DatasetPrepConfig, say: Callable[[str], None] = lambda text: None) -> Path:
    """Everything `refuse_unpreparable` checks; then the folder of tokenizer and configuration.

    Args:
        config: what to prepare.
        say: told before a step that takes long.

    Raises:
        DataError, ConfigError: see `refuse_unpreparable`.
        ModelError: no such model, or it cannot be fetched.
    """
    refuse_unpreparable(config)
    return fetch_tokenizer(config.model, say)


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
    check_model(find_start(config.model).model)
    probe(files, config)
