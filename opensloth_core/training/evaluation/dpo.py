"""Loss, accuracy and margin of preference optimization on held-out pairs.

With the log-ratios c and r of a pair's answers (see `pair_loss`):

    margin = mean of beta * (c - r)    accuracy = share of the pairs with c > r
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from opensloth_core.config.methods import DpoArguments
from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.training.dpo import REFERENCE_ADAPTER
from opensloth_core.training.evaluation.measure import Rows
from opensloth_core.training.evaluation.pair_loss import PairScores, pair_losses
from opensloth_core.training.evaluation.token_scores import token_scores


class PairMeasure:
    """How far the policy tells chosen from rejected answers, against the model as given."""

    names = ("loss", "correct", "margin", "pairs")
    max_units = None

    def __init__(self, trainer: Any, dpo: DpoArguments, device: str) -> None:
        self._trainer, self._dpo, self._device = trainer, dpo, device

    def sums(self, rows: Rows) -> dict[str, float]:
        batch = {name: tensor.to(self._device) for name, tensor in self._trainer.collate(list(rows)).items()}
        mask = batch.pop("completion_mask")
        labels = batch["input_ids"].masked_fill(mask == 0, IGNORE_INDEX)
        model = self._trainer.model
        model.eval()
        with self._trainer.accelerator.autocast():
            policy = _answer_log_probs(model, batch, labels)
        with self._reference() as reference, self._trainer.accelerator.autocast():
            ratios = policy - _answer_log_probs(reference, batch, labels)
        # A batch holds all chosen answers, then all rejected ones.
        pairs = PairScores(*ratios.chunk(2), *mask.sum(dim=1).chunk(2))
        return {
            "loss": pair_losses(pairs, self._dpo).sum().item(),
            "correct": (pairs.difference > 0).sum().item(),
            "margin": self._dpo.beta * pairs.difference.sum().item(),
            "pairs": len(rows),
        }

    def metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        means = {name: sums[name] / sums["pairs"] for name in ("loss", "correct", "margin")}
        return {"loss": means["loss"], "accuracy": means["correct"], "margin": means["margin"]}

    @contextmanager
    def _reference(self) -> Iterator[Any]:
        """The model as given; with an adapter it is the trained model, changed for the while."""
        from trl.trainer.utils import use_adapter

        if self._trainer.ref_model is not None:
            yield self._trainer.ref_model
            return
        model = self._trainer.model
        with use_adapter(model, REFERENCE_ADAPTER if REFERENCE_ADAPTER in model.peft_config else None):
            yield model


def _answer_log_probs(
    model: Any, inputs: Mapping[str, torch.Tensor], labels_RL: torch.Tensor
) -> torch.Tensor:
    """Log-probability of each row's answer, shape (R,); float64."""
    scores = token_scores(model, inputs, labels_RL)
    total = torch.zeros(len(labels_RL), dtype=torch.float64, device=labels_RL.device)
    return total.index_add_(0, scores.row, scores.log_probs.double())
