import random

import numpy as np
import torch

from opensloth_core.training.evaluation.undisturbed import undisturbed


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), torch.rand(()).item()


def test_random_numbers_go_on_as_if_nothing_had_happened() -> None:
    model = torch.nn.Linear(1, 1)
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    expected = draws()
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    with undisturbed(model):
        draws()
        torch.manual_seed(9)
    assert draws() == expected


def test_every_module_is_in_the_mode_it_was_in() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Dropout(), torch.nn.Dropout())
    model.train()
    model[2].eval()
    with undisturbed(model):
        model.eval()
        assert not torch.is_grad_enabled()
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert torch.is_grad_enabled()
