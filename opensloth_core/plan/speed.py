"""How long a run takes, by an earlier run of the same kind."""

from dataclasses import dataclass

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.plan.data_facts import DataFacts
from opensloth_core.plan.device import Device
from opensloth_core.runs.alike import completed_runs_alike


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
    for record in completed_runs_alike(config, len(devices), devices[0].on_gpu):
        result = record.last("result") or {}
        steps, seconds = result.get("steps"), result.get("seconds")
        speed = result.get("tokens_per_second")
        if not isinstance(seconds, int | float) or not steps:
            continue
        told = (record.last("versions") or {}).get("devices") or [None]
        name = record.path.name
        if config.method == "grpo":
            return TimeEstimate(num_steps * seconds / steps, None, name, told[0])
        if speed:
            tokens = num_steps * step_units * facts.tokens / facts.units
            if not config.training.max_steps:
                tokens = min(tokens, facts.tokens * config.training.epochs)
            return TimeEstimate(tokens / speed, speed, name, told[0])
    return None
