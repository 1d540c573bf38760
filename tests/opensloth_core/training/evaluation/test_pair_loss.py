import math

import pytest
import torch

from opensloth_core.config.methods import DpoArguments
from opensloth_core.training.evaluation.pair_loss import PairScores, pair_losses

# Worked by hand with beta 0.5, c = 2, r = -1, so beta c = 1, beta r = -0.5, beta d = 1.5.
EXPECTED = {
    "sigmoid": math.log(1 + math.exp(-1.5)),
    "hinge": 0.0,
    "ipo": (2 / 4 - -1 / 2 - 1) ** 2,
    "bco_pair": math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-0.5)),
    "sppo_hard": (2 - 1) ** 2 + (-1 + 1) ** 2,
    "apo_zero": 1 - 1 / (1 + math.exp(-1)) + 1 / (1 + math.exp(0.5)),
    "apo_down": 1 / (1 + math.exp(-1)) + 1 - 1 / (1 + math.exp(-1.5)),
    "robust": (0.9 * math.log(1 + math.exp(-1.5)) - 0.1 * math.log(1 + math.exp(1.5))) / 0.8,
}


@pytest.mark.parametrize("loss_type", EXPECTED)
def test_a_pair_costs_what_its_loss_says(loss_type: str) -> None:
    dpo = DpoArguments.of(
        {"beta": 0.5, "loss_type": loss_type, "label_smoothing": 0.1 if loss_type == "robust" else 0.0}
    )
    pairs = PairScores(
        chosen=torch.tensor([2.0, 0.0], dtype=torch.float64),
        rejected=torch.tensor([-1.0, 0.0], dtype=torch.float64),
        num_chosen=torch.tensor([4, 1]),
        num_rejected=torch.tensor([2, 1]),
    )
    assert pair_losses(pairs, dpo)[0].item() == pytest.approx(EXPECTED[loss_type])


def test_a_pair_on_which_policy_and_reference_agree_costs_log_two() -> None:
    zero, one = torch.zeros(1), torch.ones(1)
    (loss,) = pair_losses(PairScores(zero, zero, one, one), DpoArguments())
    assert loss.item() == pytest.approx(math.log(2))
