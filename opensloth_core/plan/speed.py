"""How long a run takes, by an earlier run of the same kind."""

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.plan.data_facts import DataFacts
from opensloth_core.plan.device import Device
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.find import newest_first
from opensloth_core.runs.history import read_outline

RUNS_LOOKED_AT = 100

_DECIDE_SPEED = ("method", "model", "finetuning_type", "max_seq_length")


@dataclass(frozen=True)
class TimeEstimate:
    """How long training takes, without preparing, loading and evaluating."""

    seconds: float
    tokens_per_second: float | None
    """Of all ranks; None where the estimate counts steps."""

    run: str
    """Name of the run that it is estimated from."""

    device: str | None
    """What that run trained on, where it says so."""


def time_estimate(
    config: OpenSlothConfig, devices: tuple[Device, ...], facts: DataFacts, num_steps: int, step_units: int
) -> TimeEstimate | None:
    """The time of a run by the newest one of the same method, model, adapter kind, length and device count.

    Where what a step trains is generated, steps are counted; otherwise tokens.

    Args:
        step_units: units of a step, of all ranks.
    """
    for run in islice(newest_first(), RUNS_LOOKED_AT):
        settings = _settings(run)
        if any(settings.get(name) != getattr(config, name) for name in _DECIDE_SPEED):
            continue
        record = read_outline(run)
        result = record.last("result") or {}
        steps, seconds = result.get("steps"), result.get("seconds")
        speed = result.get("tokens_per_second")
        if not _same_devices(record.devices, devices) or not isinstance(seconds, int | float) or not steps:
            continue
        told = (record.last("versions") or {}).get("devices") or [None]
        if config.method == "grpo":
            return TimeEstimate(num_steps * seconds / steps, None, run.path.name, told[0])
        if speed:
            tokens = num_steps * step_units * facts.tokens / facts.units
            if not config.training.max_steps:
                tokens = min(tokens, facts.tokens * config.training.epochs)
            return TimeEstimate(tokens / speed, speed, run.path.name, told[0])
    return None


def _same_devices(before: tuple[str, ...], now: tuple[Device, ...]) -> bool:
    return len(before) == len(now) and all((one == "cpu") != now[0].on_gpu for one in before)


def _settings(run: RunDirectory) -> dict[str, Any]:
    try:
        values = json.loads(run.config_path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
