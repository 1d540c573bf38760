"""A plan for a program to read."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flows.cli.cache.explain import explanation_record
from flows.cli.plan.settings import resolved
from opensloth_core.plan.plan import Plan


def record(plan: Plan, problems: Sequence[str], note: str | None) -> dict[str, Any]:
    """All that a plan knows; null where it is not known.

    Args:
        problems: in words, as flags have them.
        note: how "auto" was decided.
    """
    fit, data = plan.fit, plan.data
    return {
        "would_run": plan.would_run,
        "problems": list(problems),
        "warnings": [asdict(one) for one in plan.warnings],
        "title": plan.config.title,
        "preset": note,
        "settings": resolved(plan.config),
        "data": None if data is None else explanation_record(data),
        "prepared": None if plan.given is None else plan.given.reference,
        "rows_and_tokens": asdict(facts) if (facts := plan.facts or plan.rows) else None,
        "devices": None if plan.devices is None else [asdict(device) for device in plan.devices],
        "batch": None
        if fit is None
        else {
            **asdict(fit.batch),
            "global_batch_size": fit.batch.global_batch_size,
            "measured_by_the_run": fit.is_measured,
            "gradient_checkpointing": fit.recomputes,
        },
        "steps": plan.num_steps,
        "memory": None
        if fit is None or fit.memory is None
        else {**asdict(fit.memory), "total": fit.memory.total, "device": fit.device_bytes},
        "disk": None if plan.disk is None else asdict(plan.disk),
        "time": None if plan.time is None else asdict(plan.time),
        "fetches": list(plan.fetches),
        "run_dir": plan.run_dir,
    }
