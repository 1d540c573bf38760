"""One training run of the self-test, the way every run goes: data, a process a rank, NCCL or gloo."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from opensloth_core.api import run_training
from opensloth_core.runs.events import read_events

UNITS_PER_RANK = 2
"""Packs or pairs of one micro-batch on each of the ranks."""

NUM_STEPS = 6

SETTINGS: Mapping[str, Any] = {
    "max_seq_length": 192,
    "max_steps": NUM_STEPS,
    "dtype": "float32",
    # AdamW divides by the root of tiny numbers and makes much of their rounding.
    "optimizer": "sgd",
    "weight_decay": 0.0,
    "eval_generations": 0,
    "save_steps": 0,
}
"""Of every run; all else are defaults."""

LEARNING_RATE = {"sft": 0.1, "dpo": 0.05}
"""As high as the loss falls smoothly: where it jumps, rounding grows from step to step."""


@dataclass(frozen=True)
class Variant:
    """One way to come by the same global batch."""

    ranks: int
    batch_size: int
    accumulation: int

    @property
    def name(self) -> str:
        if self.accumulation > 1:
            return f"accumulation {self.accumulation}"
        return "1 rank" if self.ranks == 1 else f"{self.ranks} ranks"


def variants(num_ranks: int) -> list[Variant]:
    """What is compared; the first is what the others are compared with.

    With one rank, two micro-batches of a step are compared with one.
    """
    parts = max(2, num_ranks)
    alone = Variant(1, UNITS_PER_RANK * parts, 1)
    accumulated = Variant(1, UNITS_PER_RANK, parts)
    return [alone, *([Variant(num_ranks, UNITS_PER_RANK, 1)] if num_ranks > 1 else []), accumulated]


@dataclass(frozen=True)
class MeasuredRun:
    """What a run came to. Shape: S steps."""

    variant: Variant
    loss_S: list[float]
    grad_norm_S: list[float]
    weights: dict[str, npt.NDArray[np.float32]]
    """All that was trained, at the end."""

    tokens_per_second: float
    """Of all ranks, in the median step."""

    run_dir: Path
    """Directory of the run, as long as its home is there."""


def run_variant(variant: Variant, settings: Mapping[str, Any]) -> MeasuredRun:
    """Train one variant.

    Args:
        settings: at least data, model and method.

    Raises:
        OpenSlothError: the run failed.
    """
    method = settings.get("method", "sft")
    trained = run_training(
        {
            **SETTINGS,
            "learning_rate": LEARNING_RATE[method],
            **settings,
            "gpus": variant.ranks,
            "batch_size": variant.batch_size,
            "gradient_accumulation_steps": variant.accumulation,
        }
    )
    return measured(variant, trained.run_dir, trained.adapter_dir)


def measured(variant: Variant, run_dir: Path, result_dir: Path) -> MeasuredRun:
    """What a finished run came to, from its event log and its result."""
    from safetensors.numpy import load_file

    steps = [event for event in read_events(run_dir / "events.jsonl") if event["kind"] == "step"]
    of_rank_0 = [event for event in steps if event["rank"] == 0]
    speed: defaultdict[int, float] = defaultdict(float)
    for event in steps:
        speed[event["step"]] += event["tokens_per_second"]
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for path in sorted(result_dir.glob("*.safetensors")):
        weights |= load_file(path)
    return MeasuredRun(
        variant,
        [event["loss"] for event in of_rank_0],
        [event["grad_norm"] for event in of_rank_0],
        weights,
        median(speed.values()),
        run_dir,
    )
