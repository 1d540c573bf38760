"""How long a rank works in a step, without what it waits for the other ranks.

Ranks meet where gradients are added up, and where trainers gather metrics between the forward and the
backward pass. So the work is taken between these: each forward pass that is trained, and each backward pass
up to its last gradient, which DDP adds up behind it. On a GPU the marks are events in its stream, read
once the step has been logged: nothing waits for them.
"""

import time
from typing import Any

import torch


class OwnTime:
    """The seconds that a model's forward and backward passes took on this rank, and what else is added."""

    def __init__(self, model: Any, on_gpu: bool) -> None:
        """Hang on the model, whose forward has to be called as a module's, and its trained weights."""
        self._on_gpu = on_gpu
        self._spans: list[tuple[Any, Any]] = []
        self._forward: Any = None
        self._backward: Any = None
        self._last_gradient: Any = None
        self._other_seconds = 0.0
        model.register_forward_pre_hook(self._begin_forward)
        model.register_forward_hook(self._end_forward)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.register_post_accumulate_grad_hook(self._add_gradient)

    def add(self, seconds: float) -> None:
        """Count other work of this step."""
        self._other_seconds += seconds

    def timed(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss, from which on the backward pass is counted."""
        if loss.requires_grad:
            loss.register_hook(self._begin_backward)
        return loss

    def taken(self) -> float:
        """Seconds since it was asked last."""
        self._close_backward()
        seconds = self._other_seconds + sum(self._seconds(*span) for span in self._spans)
        self._spans, self._other_seconds = [], 0.0
        return seconds

    def _begin_forward(self, *_: Any) -> None:
        # What runs without gradients is sampled or evaluated, or the reference.
        self._forward = self._mark() if torch.is_grad_enabled() else None

    def _end_forward(self, *_: Any) -> None:
        if self._forward is not None:
            self._spans.append((self._forward, self._mark()))
            self._forward = None

    def _begin_backward(self, _: torch.Tensor) -> None:
        self._close_backward()
        self._backward = self._mark()

    def _add_gradient(self, _: torch.Tensor) -> None:
        if self._backward is None:
            return
        if self._on_gpu and self._last_gradient is not None:
            self._last_gradient.record()
        else:
            self._last_gradient = self._mark()

    def _close_backward(self) -> None:
        if self._backward is not None and self._last_gradient is not None:
            self._spans.append((self._backward, self._last_gradient))
        self._backward = self._last_gradient = None

    def _mark(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _seconds(self, begin: Any, end: Any) -> float:
        if not self._on_gpu:
            return float(end - begin)
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1000
