"""Says from time to time that a rank is at work: in long steps, evaluations and completions."""

import time
from typing import Any

from opensloth_core.runs.directory import RunDirectory

MOST_SECONDS = 30.0
PULSES_A_TIMEOUT = 4
"""How many fit into the time after which a silent run is ended."""


def write_pulses(model: Any, run: RunDirectory, rank: int, stall_timeout_seconds: float) -> None:
    """Write a `pulse` event when the model has run a batch, every `MOST_SECONDS` or more often.

    It hangs on the input embedding, which every way through a model takes: PEFT and Unsloth go around
    the modules above it.

    Args:
        stall_timeout_seconds: the setting; nobody waits for pulses where it is 0.
    """
    if not stall_timeout_seconds:
        return
    every_seconds = min(MOST_SECONDS, stall_timeout_seconds / PULSES_A_TIMEOUT)
    last = time.monotonic()

    def pulse(*_: Any) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > every_seconds:
            last = now
            run.events.write("pulse", rank=rank)

    model.get_input_embeddings().register_forward_hook(pulse)
