"""Writes a `step` event for every optimizer step of a rank."""

import math
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import TrainerCallback

from opensloth_core.errors import TrainingError
from opensloth_core.runs.events import EventLog


class StepEvents(TrainerCallback):
    """Measures each step where it runs and appends it to the run's event log.

    `tokens_per_second` is this rank's; `loss` and `grad_norm` are those of the whole step.
    """

    def __init__(
        self,
        events: EventLog,
        rank: int,
        tokens_S: npt.NDArray[np.int64],
        trained_tokens_S: npt.NDArray[np.int64],
    ) -> None:
        """
        Args:
            tokens_S: tokens this rank runs in each step.
            trained_tokens_S: tokens with a label in each step, over all ranks.
        """
        self._events = events
        self._rank = rank
        self._tokens_S = tokens_S
        self._trained_tokens_S = trained_tokens_S
        self._begun = time.perf_counter()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._begun = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or "loss" not in logs:
            return
        now = time.perf_counter()
        seconds, self._begun = now - self._begun, now
        step = state.global_step
        loss = float(logs["loss"])
        self._events.write(
            "step",
            rank=self._rank,
            world_size=args.world_size,
            step=step,
            total_steps=state.max_steps,
            loss=loss,
            grad_norm=float(logs["grad_norm"]) if "grad_norm" in logs else None,
            learning_rate=float(logs["learning_rate"]),
            tokens=int(self._tokens_S[step - 1]),
            trained_tokens=int(self._trained_tokens_S[step - 1]),
            tokens_per_second=float(self._tokens_S[step - 1] / seconds),
            step_seconds=seconds,
            memory_bytes=peak_memory_bytes(),
        )
        if not math.isfinite(loss):
            raise TrainingError(f"the loss became {loss} at step {step}; try a lower --lr")


def peak_memory_bytes() -> int:
    """Most memory this rank has held: on its GPU, else resident in RAM."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
