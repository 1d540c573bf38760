"""The model as it was given, which the KL term measures the distance from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class ReferencePolicy:
    """Keeps the trained weights of a model as they are now.

    Of a fresh adapter that is the model without it, of a continued one that adapter's policy, and where
    all weights are trained a whole second model. Make it before anything is trained or restored.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._trained = [weight for weight in model.parameters() if weight.requires_grad]
        self._as_given = [weight.detach().clone() for weight in self._trained]

    @contextmanager
    def in_place(self, model: Any) -> Iterator[None]:
        """Within, the model is the one that was given: no gradients, no dropout.

        Autocast remembers what it has cast by the identity of a weight, so open it inside.
        """
        training = {module: module.training for module in model.modules()}
        self._swap()
        model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self._swap()
            for module, was_training in training.items():
                module.training = was_training

    def _swap(self) -> None:
        for weight, as_given in zip(self._trained, self._as_given, strict=True):
            weight.data, as_given.data = as_given.data, weight.data
