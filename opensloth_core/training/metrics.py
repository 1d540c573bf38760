"""Writes a `step` event for every optimizer step of a rank."""

import time
from typing import Any

import torch
from transformers import TrainerCallback

from opensloth_core.training.job import RankJob

SHARED = frozenset(
    {
        "loss",
        "grad_norm",
        "learning_rate",
        "epoch",
        "data_wait_seconds",
        "own_seconds",
        "tokens",
        "trained_tokens",
    }
)
"""What trainers of all methods log; the rest goes to a step's `metrics`."""


class StepEvents(TrainerCallback):
    """Measures each step where it runs and appends it to the run's event log.

    `tokens_per_second` is this rank's; `loss` and `grad_norm` are those of the whole step.
    """

    def __init__(self, job: RankJob) -> None:
        self._job = job
        self._begun = time.perf_counter()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._begun = time.perf_counter()

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._begun = time.perf_counter()  # an evaluation is no part of the next step

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        now = time.perf_counter()
        seconds, self._begun = now - self._begun, now
        job, step = self._job, state.global_step
        # Only the data's tokens are planned; a trainer that generates more says how many it ran.
        tokens = int(logs.get("tokens", job.tokens_SW[step - 1, job.rank]))
        job.run.events.write(
            "step",
            rank=job.rank,
            world_size=job.world_size,
            step=step,
            total_steps=state.max_steps,
            loss=float(logs["loss"]),
            grad_norm=float(logs["grad_norm"]) if "grad_norm" in logs else None,
            learning_rate=float(logs["learning_rate"]),
            tokens=tokens,
            trained_tokens=int(logs.get("trained_tokens", job.plan.trained_tokens_S[step - 1])),
            tokens_per_second=tokens / seconds,
            step_seconds=seconds,
            memory_bytes=peak_memory_bytes(),
            data_wait_seconds=float(logs["data_wait_seconds"]),
            own_seconds=logs.get("own_seconds"),
            metrics={name: float(value) for name, value in logs.items() if name not in SHARED},
        )


def peak_memory_bytes() -> int:
    """Most memory this rank has held: on its GPU, else resident in RAM."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
