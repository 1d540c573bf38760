"""One line for a person about a step whose numbers are not finite."""

import math
from collections.abc import Sequence

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.runs.directory import RunDirectory
from opensloth_core.training.checkpoint.manifest import newest_whole
from opensloth_core.training.guard.findings import Finding

NAMED_ROWS = 5
"""Rows that a message names; the others are counted."""


def verdict(
    step: int,
    grad_norm: float | None,
    findings: Sequence[Finding],
    config: OpenSlothConfig,
    run: RunDirectory,
) -> str:
    """What became not finite, where, through which rows, and what to try.

    Args:
        step: from 1.
        grad_norm: of the step, over all ranks, where it is known.
        findings: those of the ranks.
    """
    return f"{_what(step, grad_norm, findings, config)}. {_what_is_left(run)}"


def _what(step: int, grad_norm: float | None, findings: Sequence[Finding], config: OpenSlothConfig) -> str:
    examined = [(finding.rank, one) for finding in findings for one in finding.examined]
    losses = [loss for finding in findings for loss in finding.losses]
    if not examined:
        return (
            f"the gradient norm became {grad_norm} at step {step} while every loss was finite "
            f"({min(losses):.4g} to {max(losses):.4g}), so numbers overflowed on the way back: "
            f"{_lower(config)}{_or_float32(config)}"
        )
    where = f"the loss became {examined[0][1].loss} at step {step}"
    num_rows = sum(one.num_rows for _, one in examined)
    culprits = [row for _, one in examined for row in one.culprits]
    places = ", ".join(f"micro-batch {one.micro_batch} of rank {rank}" for rank, one in examined[:3])
    if num_rows and len(culprits) == num_rows and not any(map(math.isfinite, losses)):
        if step == 1:
            return (
                f"{where}, before anything was trained, through every one of its {num_rows} rows: the model "
                f"is damaged or its numbers overflow; try another copy of it{_or_float32(config)}"
            )
        return (
            f"{where} through every one of its {num_rows} rows, so the weights are at fault and not the "
            f"data: {_lower(config)}"
        )
    if culprits:
        return (
            f"{where} in {places} through {len(culprits)} of {num_rows} rows: {_named(culprits)}; every "
            "other row is finite, so look at these or leave them out"
        )
    first_rows = [row for _, one in examined for row in one.first_rows]
    return (
        f"{where} in {places}, though each of its {num_rows} rows is finite alone (the first: "
        f"{_named(first_rows)}), so numbers overflow where they meet: {_lower(config)}{_or_float32(config)}"
    )


def _named(rows: Sequence[str]) -> str:
    rest = len(rows) - NAMED_ROWS
    return "; ".join([*rows[:NAMED_ROWS], *([f"and {rest} more"] if rest > 0 else [])])


def _lower(config: OpenSlothConfig) -> str:
    return f"lower --lr (now {config.learning_rate:g}) or raise --warmup-ratio"


def _or_float32(config: OpenSlothConfig) -> str:
    return "" if config.dtype == "float32" else ", or --dtype float32"


def _what_is_left(run: RunDirectory) -> str:
    """Nothing of the step is saved, so what was saved before it is good."""
    checkpoint = newest_whole(run.checkpoints_dir, in_full=False)
    return f"The last good weights are in {checkpoint.path}" if checkpoint else "Nothing was saved"
