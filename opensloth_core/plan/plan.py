"""What a training command would do, take and find, told without doing any of it.

Nothing is written but what the hub's cache keeps of a tokenizer, no device is taken and no process of a run
is started; torch is not imported.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.checks.disk import NAME as DISK
from opensloth_core.checks.disk import disk_warnings
from opensloth_core.checks.memory import NAME as MEMORY
from opensloth_core.checks.memory import memory_warnings
from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.read.input_file import InputFile
from opensloth_core.doctor.finding import Finding
from opensloth_core.errors import OpenSlothError
from opensloth_core.launch.devices import num_shards
from opensloth_core.models.embedded import EMBEDDED
from opensloth_core.models.locate import local_folder
from opensloth_core.models.present import has_weights, present_folder
from opensloth_core.models.start import find_start
from opensloth_core.plan.data_facts import (
    DataFacts,
    RowCount,
    counted_facts,
    estimated_facts,
    estimated_rows,
)
from opensloth_core.plan.described_model import described_model
from opensloth_core.plan.device import Device, describe_devices
from opensloth_core.plan.disk import DiskEstimate, disk_estimate
from opensloth_core.plan.fit import Fit, find_fit, memory_model
from opensloth_core.plan.speed import TimeEstimate, time_estimate
from opensloth_core.preflight import Examined, examine
from opensloth_core.runs.directory import names_of_run
from opensloth_core.store.artifact import read_manifest
from opensloth_core.store.digest_memory import nothing_remembered
from opensloth_core.store.explain import Explanation, explain
from opensloth_core.store.given import GivenData, given_data
from opensloth_core.store.home import home_dir
from opensloth_core.store.prepared import PreparedManifest, prepared_dir


@dataclass(frozen=True)
class Plan:
    """What a run would come to; None where a problem keeps it from being known."""

    config: OpenSlothConfig
    problems: tuple[OpenSlothError, ...]
    """Each would end the run."""

    warnings: tuple[Finding, ...]
    data: Explanation | None
    """Whether the data is there, and if not, why; None also where it was given as prepared."""

    given: GivenData | None
    """Data that was given as prepared."""

    facts: DataFacts | None
    rows: RowCount | None
    """Of data whose facts are not known, while it can be read."""

    devices: tuple[Device, ...] | None
    fit: Fit | None
    num_steps: int | None
    disk: DiskEstimate | None
    time: TimeEstimate | None
    run_dir: str
    """Where the run would be, with what is decided when it starts in words: TIME, ID."""

    fetches: tuple[str, ...]
    """What would be downloaded or built first, a phrase each."""

    @property
    def would_run(self) -> bool | None:
        """Whether nothing is known that would end the run; None where the data could not be tried."""
        if self.problems:
            return False
        return None if self.facts is None else True


def make_plan(config: OpenSlothConfig, say: Callable[[str], None] = lambda text: None) -> Plan:
    """The plan of a run; whatever is wrong with it is part of the plan.

    Args:
        say: told before a step that takes long.
    """
    examined = examine(config)
    problems = list(examined.problems)
    with ExitStack() as stack:
        described, tokenizer = config, None
        if examined.has_model:
            try:
                described, tokenizer = stack.enter_context(described_model(config, say))
            except OpenSlothError as err:
                problems.append(err)
        return _plan(config, examined, problems, described, tokenizer)


def _plan(
    config: OpenSlothConfig,
    examined: Examined,
    problems: list[OpenSlothError],
    described: OpenSlothConfig,
    tokenizer: Path | None,
) -> Plan:
    """The plan of what was examined.

    Args:
        described, tokenizer: see `described_model`.
    """
    warnings = list(examined.warnings)
    data, given, facts, rows = None, None, None, None
    if examined.files is not None and tokenizer is not None:
        try:
            data, facts = _data(config, examined, examined.files, tokenizer)
        except OpenSlothError as err:
            problems.append(err)
    if examined.files is not None and facts is None:
        rows = estimated_rows(examined.files, config)
    if config.prepared is not None and not problems:
        given = given_data(config.prepared)
        facts = counted_facts(read_manifest(given.folder, PreparedManifest), given.folder, config)
    devices = None if examined.devices is None else describe_devices(examined.devices)
    fit = num_steps = disk = time = None
    if devices is not None:
        model = memory_model(described, devices) if examined.has_model else None
        fit = find_fit(described, model, devices, facts)
        num_steps = None if facts is None else steps_of(config, fit.batch, facts)
        is_cached = given is not None or (data is not None and data.found is not None)
        disk = disk_estimate(config, model, facts, is_cached, num_steps)
        if facts is not None and num_steps is not None:
            time = time_estimate(config, devices, facts, num_steps, _units_of_step(config, fit.batch))
        warnings = _sharper(config, warnings, fit, disk, devices[0].on_gpu)
    return Plan(
        config=config,
        problems=tuple(problems),
        warnings=tuple(warnings),
        data=data,
        given=given,
        facts=facts,
        rows=rows,
        devices=devices,
        fit=fit,
        num_steps=num_steps,
        disk=disk,
        time=time,
        run_dir=str(home_dir() / "runs" / "-".join([*names_of_run(config), "TIME", "ID"])),
        fetches=tuple(_fetches(config)) if examined.has_model else (),
    )


def steps_of(config: OpenSlothConfig, batch: BatchPlan, facts: DataFacts) -> int:
    """Optimizer steps of a run, as `opensloth_core.training.plan` counts them."""
    if config.training.max_steps:
        return config.training.max_steps
    per_epoch = math.ceil(facts.units / _units_of_step(config, batch))
    return math.ceil(config.training.epochs * per_epoch)


def _units_of_step(config: OpenSlothConfig, batch: BatchPlan) -> int:
    """Packs, pairs or prompts of a step, over all ranks."""
    size = batch.global_batch_size
    return max(1, size // config.grpo.num_generations) if config.method == "grpo" else size


def _data(
    config: OpenSlothConfig, examined: Examined, files: Sequence[InputFile], tokenizer: Path
) -> tuple[Explanation, DataFacts]:
    shards = num_shards(config.gpus) if examined.devices is None else len(examined.devices)
    with nothing_remembered():
        explanation = explain(config.preparation, tokenizer, shards)
    found = explanation.found
    if found is not None and isinstance(found.manifest, PreparedManifest):
        return explanation, counted_facts(found.manifest, prepared_dir(found.manifest.key), config)
    return explanation, estimated_facts(files, config, tokenizer)


def _sharper(
    config: OpenSlothConfig, warnings: Sequence[Finding], fit: Fit, disk: DiskEstimate, on_gpu: bool
) -> list[Finding]:
    """Warnings of memory and disk again, now that the data is known."""
    others = [one for one in warnings if one.check not in (DISK, MEMORY)]
    return [*others, *memory_warnings(config, fit, on_gpu), *disk_warnings(disk)]


def _fetches(config: OpenSlothConfig) -> list[str]:
    model = find_start(config.model, config.pretrained_lora).model
    folder = present_folder(model)
    if model == EMBEDDED:
        return [] if folder is not None else ["SmolLM2-135M-Instruct, built from its package (about 270 MB)"]
    if local_folder(model) is not None or (folder is not None and has_weights(folder)):
        return []
    return [f"{model}, from the hub"]
