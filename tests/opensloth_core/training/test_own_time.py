"""What a rank works in a step: its passes, and nothing of what lies between or behind them."""

import time
from typing import Any

import pytest
import torch

from opensloth_core.training.own_time import OwnTime

FORWARD, BACKWARD, WAIT = 0.02, 0.03, 0.5
"""Seconds that a pass takes, and what waiting for other ranks does."""


class Slow(torch.autograd.Function):
    """The identity; it takes its time both ways."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        time.sleep(FORWARD)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        time.sleep(BACKWARD)
        return grad


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
        self.last.requires_grad_(False)

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(Slow.apply(self.first(value)))
        return answer


def micro_batch(model: Model, own: OwnTime, **waits: bool) -> None:
    loss = own.timed(model(torch.ones(3, 2)).sum())
    if waits.get("between"):
        time.sleep(WAIT)
    if waits.get("behind"):
        # As DDP does once the last gradient is there.
        engine = torch.autograd.Variable._execution_engine
        loss.register_hook(lambda _: engine.queue_callback(lambda: time.sleep(WAIT)))  # type: ignore[attr-defined]
    (loss / 2).backward()


def test_waiting_for_other_ranks_is_no_work_of_its_own() -> None:
    model = Model()
    own = OwnTime(model, on_gpu=False)
    micro_batch(model, own, between=True)
    micro_batch(model, own, between=True, behind=True)
    found = own.taken()
    assert 2 * (FORWARD + BACKWARD) <= found < 2 * (FORWARD + BACKWARD) + WAIT
    assert own.taken() == 0.0


def test_what_runs_without_gradients_counts_where_it_is_added() -> None:
    model = Model()
    own = OwnTime(model, on_gpu=False)
    with torch.no_grad():
        own.timed(model(torch.ones(3, 2)).sum())
    assert own.taken() == 0.0
    own.add(1.5)
    assert own.taken() == pytest.approx(1.5)
