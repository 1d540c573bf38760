"""What our settings become among the trainers' own."""

import pytest
import torch
from transformers import get_scheduler

from opensloth_core.config.training import TrainingArguments
from opensloth_core.training.arguments import schedule


@pytest.mark.parametrize(
    ("lr_scheduler", "rates"),
    [("constant", [0, 0.5, 1, 1, 1]), ("linear", [0, 0.5, 1, 2 / 3, 1 / 3])],
)
def test_every_schedule_warms_up(lr_scheduler: str, rates: list[float]) -> None:
    training = TrainingArguments.of({"lr_scheduler": lr_scheduler, "warmup_ratio": 0.4})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    found = get_scheduler(schedule(training), optimizer, num_warmup_steps=2, num_training_steps=5)
    taken = []
    for _ in rates:
        taken += found.get_last_lr()
        optimizer.step()
        found.step()
    assert taken == pytest.approx(rates)


def test_nothing_warms_up_where_nobody_asks_for_it() -> None:
    assert schedule(TrainingArguments.of({"lr_scheduler": "constant", "warmup_ratio": 0})) == "constant"
