"""What can be known to fail before anything expensive starts, all of it at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.checks.architecture import check_architecture
from opensloth_core.checks.claimed import check_unclaimed
from opensloth_core.checks.devices import devices_in_use, unlike
from opensloth_core.checks.disk import check_disk, disk_warnings
from opensloth_core.checks.memory import check_memory, memory_warnings
from opensloth_core.checks.outputs import check_apart, check_home, check_output
from opensloth_core.checks.positions import check_positions
from opensloth_core.checks.problems import Examination
from opensloth_core.checks.rewards import check_rewards
from opensloth_core.checks.settings import check_settings
from opensloth_core.checks.target_modules import check_target_modules
from opensloth_core.checks.tokenizer import check_template, check_tokenizer
from opensloth_core.checks.trackers import check_trackers
from opensloth_core.checks.versions import version_warnings
from opensloth_core.config.data import DatasetPrepConfig
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.probe import probe
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.data.read.inputs import find_inputs
from opensloth_core.doctor.finding import Finding
from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.devices import visible_gpus, wanted_devices
from opensloth_core.models.locate import check_model
from opensloth_core.models.present import continues_adapter, present_folder
from opensloth_core.models.start import (
    Start,
    StartFolders,
    fetch_start,
    fetch_tokenizer,
    find_start,
    refuse_start,
)
from opensloth_core.plan.device import describe_devices
from opensloth_core.plan.disk import disk_estimate
from opensloth_core.plan.fit import find_fit, memory_model
from opensloth_core.rewards.registry import find_reward
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.store.adopt import check_given


@dataclass(frozen=True)
class Preflight:
    """What the checks found out."""

    start: StartFolders
    """Folders of model, tokenizer and adapter."""

    devices: tuple[str, ...]
    """One torch device a rank, where no other run has any; what a run gets is known once it holds them."""


@dataclass(frozen=True)
class Examined:
    """What is wrong with a run, and what was found out on the way."""

    problems: tuple[OpenSlothError, ...]
    """Each would end the run."""

    warnings: tuple[Finding, ...]
    files: Sequence[InputFile] | None
    """The files of the data; None where they cannot be had, or hold nothing that can be trained on."""

    devices: tuple[str, ...] | None
    """One torch device a rank; None where they cannot be had."""

    has_model: bool
    """Whether model and adapter are there and fit each other."""


def preflight(
    config: OpenSlothConfig,
    say: Callable[[str], None] = lambda text: None,
    own: RunDirectory | None = None,
) -> Preflight:
    """Everything `refuse_impossible` checks; then finds, fetches or builds what the run starts from.

    Args:
        config: the run's configuration.
        say: told before a step that takes long, and what is worth knowing.
        own: the run that is checked, where it has begun; see `check_unclaimed`.

    Raises:
        DataError, ConfigError: see `refuse_impossible`.
        ModelError: no such model or adapter, or it cannot be fetched.
        StoreError: a folder cannot be written.
    """
    found, examined = _examination(config, own)
    found.refuse()
    for finding in examined.warnings:
        say(f"warning: {finding.check}: {finding.text}; {finding.remedy}")
    assert examined.devices is not None, "a run without devices is refused"
    return Preflight(fetch_start(config, say), examined.devices)


def refuse_impossible(config: OpenSlothConfig) -> tuple[str, ...]:
    """Check data, devices, settings, outputs, model, memory and disk without writing anything.

    Gives the devices that the run would have if it were alone.

    Raises:
        SeveralProblems: more than one of these.
        DataError: the input is missing, unreadable or empty, or holds nothing that can be trained on.
        ConfigError: devices, batch numbers, rewards, trackers or an output folder cannot be had, a setting
            could not take effect, or memory or disk cannot hold what is asked for.
        ModelError: a model's or adapter's folder that is none, or a hub model that cannot be reached.
    """
    found, examined = _examination(config)
    found.refuse()
    assert examined.devices is not None, "a run without devices is refused"
    return examined.devices


def examine(config: OpenSlothConfig) -> Examined:
    """Everything that `refuse_impossible` checks, and what it would warn of; nothing is raised or written."""
    return _examination(config)[1]


def data_preflight(
    config: DatasetPrepConfig,
    say: Callable[[str], None] = lambda text: None,
    own: RunDirectory | None = None,
) -> Path:
    """Everything `refuse_unpreparable` checks; then the folder of tokenizer and configuration.

    Args:
        config: what to prepare.
        say: told before a step that takes long.
        own: the run that is checked, where it has begun; see `check_unclaimed`.

    Raises:
        DataError, ConfigError: see `refuse_unpreparable`.
        ModelError: no such model, or it cannot be fetched.
    """
    refuse_unpreparable(config, own)
    return fetch_tokenizer(config.model, say)


def refuse_unpreparable(config: DatasetPrepConfig, own: RunDirectory | None = None) -> None:
    """Check data, output and model of a preparation without writing anything.

    Its GPUs are not looked for: data may be prepared for those of another machine.

    Raises:
        SeveralProblems: more than one of these.
        DataError: the input is missing, unreadable or empty, or holds nothing that can be trained on.
        ConfigError: the output folder cannot be had.
        ModelError: a model folder that is none, or a hub model that cannot be reached.
    """
    found = Examination()
    files = found.try_(lambda: find_inputs(config.data, config.split))
    if config.data_output is not None:
        folder = Path(config.data_output)
        found.try_(lambda: check_output("data_output", folder))
    _check_home(config, own, found)
    start = found.try_(lambda: _check_model_of_data(config))
    rows = None if files is None else found.try_(lambda: probe(files, config))
    if rows is not None and start is not None:
        found.try_(lambda: check_template(start, rows))
    found.refuse()


def _examination(config: OpenSlothConfig, own: RunDirectory | None = None) -> tuple[Examination, Examined]:
    """Runs every check whose own needs are met; what depends on something that was refused is left out."""
    found = Examination()
    files = _files(config, found)
    wanted = found.try_(lambda: wanted_devices(config))
    devices = None if wanted is None else wanted.best
    on_cpu = not visible_gpus() if devices is None else devices[0] == "cpu"
    found.try_(lambda: check_settings(config, on_cpu=on_cpu))
    found.try_(lambda: check_trackers(config.training.report_to))
    _check_outputs(config, own, found)
    start = found.try_(lambda: _check_model(config))
    rows = None if files is None else found.try_(lambda: probe(files, config))
    if rows is not None:
        found.try_(lambda: check_rewards(config, rows))
        if start is not None:
            found.try_(lambda: check_template(start, rows))
    elif config.method == "grpo":
        for choice in config.grpo.reward:
            found.try_(lambda name=choice.name: find_reward(name))  # type: ignore[misc]
    if devices is not None:
        _check_room(config, devices, start is not None, found)
    found.warn(version_warnings())
    usable = files if rows is not None else None
    return found, Examined(tuple(found.problems), tuple(found.warnings), usable, devices, start is not None)


def _files(config: OpenSlothConfig, found: Examination) -> Sequence[InputFile] | None:
    """The files of the data; none where data was prepared before, whose sources may be gone."""
    if config.prepared is None:
        return found.try_(lambda: find_inputs(config.data, config.split))
    prepared = config.prepared
    found.try_(lambda: check_given(prepared))
    return None


def _check_outputs(config: OpenSlothConfig, own: RunDirectory | None, found: Examination) -> None:
    for name in ("output", "data_output"):
        folder = getattr(config, name)
        if folder is not None:
            found.try_(lambda name=name, folder=folder: check_output(name, Path(folder)))  # type: ignore[misc]
    found.try_(lambda: check_apart(config.output, config.data_output))
    _check_home(config, own, found)


def _check_home(config: DatasetPrepConfig, own: RunDirectory | None, found: Examination) -> None:
    num_problems = len(found.problems)
    found.try_(check_home)
    if len(found.problems) == num_problems:
        found.try_(lambda: check_unclaimed(config, own))


def _check_model(config: OpenSlothConfig) -> Start:
    refuse_start(config)
    start = find_start(config.model, config.pretrained_lora)
    folder = present_folder(start.model)
    if folder is not None:
        check_architecture(folder, config.trust_remote_code)
        check_positions(config, folder)
        if not continues_adapter(config):
            check_target_modules(config, folder)
    check_tokenizer(start)
    return start


def _check_model_of_data(config: DatasetPrepConfig) -> Start:
    start = find_start(config.model)
    check_model(start.model)
    check_tokenizer(start)
    return start


def _check_room(
    config: OpenSlothConfig, devices: tuple[str, ...], has_model: bool, found: Examination
) -> None:
    """Memory and disk, as far as they can be told without reading the data."""
    described = describe_devices(devices)
    found.warn(devices_in_use(devices))
    found.warn(unlike(described))
    model = memory_model(config, described) if has_model else None
    fit = find_fit(config, model, described, None)
    on_gpu = described[0].on_gpu
    found.try_(lambda: check_memory(config, fit, on_gpu))
    if config.method == "sft":
        # Packs are as long as they may be; how long pairs and prompts are only the data says.
        found.warn(memory_warnings(config, fit, on_gpu))
    disk = disk_estimate(config, model, None, is_cached=False, num_steps=None)
    found.try_(lambda: check_disk(disk))
    found.warn(disk_warnings(disk))
