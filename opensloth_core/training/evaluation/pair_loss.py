"""What a preference pair costs, from how much likelier its answers have become.

Shapes: B pairs. `c` and `r` are the log-ratios log p(answer) / p_ref(answer) of the chosen and the rejected
answer, and d = c - r.

Source: huggingface/trl v1.15.0, trl/trainer/dpo_trainer.py, DPOTrainer._compute_loss, which gives only the
mean over a batch and changes the trainer's metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from opensloth_core.config.methods import DpoArguments


@dataclass(frozen=True)
class PairScores:
    """Pairs as the losses see them; all of shape (B,)."""

    chosen: torch.Tensor
    """c."""

    rejected: torch.Tensor
    """r."""

    num_chosen: torch.Tensor
    """Tokens of the chosen answer."""

    num_rejected: torch.Tensor

    @property
    def difference(self) -> torch.Tensor:
        """d."""
        return self.chosen - self.rejected


def pair_losses(pairs: PairScores, dpo: DpoArguments) -> torch.Tensor:
    """The loss of each pair, shape (B,)."""
    return _LOSSES[dpo.loss_type](pairs, dpo.beta, dpo.label_smoothing)


def _ipo(pairs: PairScores, beta: float, _: float) -> torch.Tensor:
    difference = pairs.chosen / pairs.num_chosen - pairs.rejected / pairs.num_rejected
    return (difference - 1 / (2 * beta)) ** 2


def _robust(pairs: PairScores, beta: float, smoothing: float) -> torch.Tensor:
    kept, flipped = logsigmoid(beta * pairs.difference), logsigmoid(-beta * pairs.difference)
    return (smoothing * flipped - (1 - smoothing) * kept) / (1 - 2 * smoothing)


_LOSSES: dict[str, Callable[[PairScores, float, float], torch.Tensor]] = {
    "sigmoid": lambda pairs, beta, _: -logsigmoid(beta * pairs.difference),
    "hinge": lambda pairs, beta, _: torch.relu(1 - beta * pairs.difference),
    "ipo": _ipo,
    "robust": _robust,
    "bco_pair": lambda pairs, beta, _: -logsigmoid(beta * pairs.chosen) - logsigmoid(-beta * pairs.rejected),
    "sppo_hard": lambda pairs, beta, _: (pairs.chosen - 0.5 / beta) ** 2 + (pairs.rejected + 0.5 / beta) ** 2,
    "apo_zero": lambda pairs, beta, _: (
        1 - torch.sigmoid(beta * pairs.chosen) + torch.sigmoid(beta * pairs.rejected)
    ),
    "apo_down": lambda pairs, beta, _: (
        1 + torch.sigmoid(beta * pairs.chosen) - torch.sigmoid(beta * pairs.difference)
    ),
}
