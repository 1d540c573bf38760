"""The states of every random number generator that training draws from."""

import random
from typing import Any

import numpy as np
import torch


def random_state(device: str) -> dict[str, Any]:
    """The states of this process's generators: Python's, numpy's, torch's on the CPU and on its GPU."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device != "cpu" else None,
    }


def restore_random_state(state: dict[str, Any], device: str) -> None:
    """Go on drawing where `random_state` was taken; a GPU whose state is not there keeps its own."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if device != "cpu" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)


def fresh_random_state(seed: int, step: int, rank: int) -> None:
    """Seed all generators for a rank that did not exist when a checkpoint was made."""
    number = int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0])
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
