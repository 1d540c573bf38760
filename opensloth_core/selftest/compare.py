"""How far two runs are apart, and how far they may be."""

from dataclasses import dataclass

import numpy as np

from opensloth_core.selftest.runs import MeasuredRun


@dataclass(frozen=True)
class Differences:
    """The largest ones over all steps, or how large they may be."""

    loss: float
    """Absolute: losses of all models are a few units."""

    grad_norm: float
    """Relative: norms of gradients differ by orders of magnitude between models, methods and steps."""

    weights: float
    """Absolute, at the end, over every trained weight."""

    def within(self, limits: "Differences") -> bool:
        """Whether none is larger than its limit, or is no number."""
        return (
            self.loss <= limits.loss and self.grad_norm <= limits.grad_norm and self.weights <= limits.weights
        )


CPU_LIMITS = Differences(loss=1e-5, grad_norm=1e-5, weights=1e-6)
"""Float32, sums in another order. Measured on CPUs for sft, dpo and all weights: 1e-6, 1.2e-6, 1.2e-7."""

GPU_LIMITS = Differences(loss=1e-4, grad_norm=1e-3, weights=1e-5)
"""Float32 without TF32, where kernels of other shapes also split their sums otherwise, and some add with
atomics. A wrong division of the loss shows at 1e-2 and above."""


def differences(reference: MeasuredRun, run: MeasuredRun) -> Differences:
    """How far a run is from the reference; infinite where one has other steps or weights."""
    same_steps = len(reference.loss_S) == len(run.loss_S)
    same_weights = {name: one.shape for name, one in reference.weights.items()} == {
        name: one.shape for name, one in run.weights.items()
    }
    if not same_steps or not same_weights:
        return Differences(np.inf, np.inf, np.inf)
    loss_S, norm_S = np.array(reference.loss_S), np.array(reference.grad_norm_S)
    apart = [float(np.abs(one - run.weights[name]).max()) for name, one in reference.weights.items()]
    return Differences(
        loss=float(np.abs(loss_S - run.loss_S).max()),
        grad_norm=float((np.abs(norm_S - run.grad_norm_S) / norm_S).max()),
        weights=max(apart),
    )
