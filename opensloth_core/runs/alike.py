"""Earlier runs that did the same kind of work, to estimate from."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.history import read_outline
from opensloth_core.runs.listing import newest_first
from opensloth_core.runs.report.record import RunRecord

RUNS_LOOKED_AT = 100

_DECIDE_SPEED = ("method", "model", "finetuning_type", "max_seq_length")


def completed_runs_alike(config: OpenSlothConfig, num_devices: int, on_gpu: bool) -> Iterator[RunRecord]:
    """Completed runs of the same method, model, adapter kind, length and devices, newest first.

    Args:
        num_devices: how many devices they have to have had.
        on_gpu: whether these have to have been GPUs.
    """
    for run in islice(newest_first(), RUNS_LOOKED_AT):
        settings = _settings(run)
        if any(settings.get(name) != getattr(config, name) for name in _DECIDE_SPEED):
            continue
        record = read_outline(run)
        devices = record.devices
        is_alike = len(devices) == num_devices and all((one == "cpu") != on_gpu for one in devices)
        if is_alike and record.last("result") is not None:
            yield record


def _settings(run: RunDirectory) -> dict[str, Any]:
    try:
        values = json.loads(run.config_path.read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
