"""Loss, perplexity and token accuracy of supervised fine-tuning.

Over all N trained tokens of the held-out packs, each given the tokens before it in its example:

    loss = -1/N * sum of log p(token)    perplexity = exp(loss)    token_accuracy = (argmax is token) / N
"""

import math
from collections.abc import Mapping
from typing import Any

from opensloth_core.training.collate import assert_examples_kept_apart
from opensloth_core.training.evaluation.measure import Rows
from opensloth_core.training.evaluation.token_scores import token_scores

_OVERFLOWS = 700.0
"""Losses above have a perplexity that is no number of 64 bits."""


class TokenMeasure:
    """How well trained tokens are predicted; the layout of packs is the trainer's."""

    names = ("loss", "correct", "tokens")
    max_units = None

    def __init__(self, trainer: Any, device: str) -> None:
        self._trainer, self._device = trainer, device

    def sums(self, rows: Rows) -> dict[str, float]:
        batch = self._trainer.collate(list(rows))
        assert_examples_kept_apart(batch, self._trainer.is_flat())
        inputs = {name: tensor.to(self._device) for name, tensor in batch.items()}
        labels = inputs.pop("labels")
        model = self._trainer.model
        model.eval()
        with self._trainer.accelerator.autocast():
            scores = token_scores(model, inputs, labels)
        return {
            "loss": -scores.log_probs.double().sum().item(),
            "correct": scores.is_top.sum().item(),
            "tokens": len(scores.row),
        }

    def metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        loss = sums["loss"] / sums["tokens"]
        return {
            "loss": loss,
            "perplexity": math.exp(loss) if loss < _OVERFLOWS else math.inf,
            "token_accuracy": sums["correct"] / sums["tokens"],
        }
