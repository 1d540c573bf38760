"""What is restored goes on exactly as what was saved."""

from pathlib import Path
from typing import Any

import pytest
import torch

from opensloth_core.errors import ConfigError
from opensloth_core.training.checkpoint.restore import restore_weights, trained_weights
from opensloth_core.training.checkpoint.tree import read_tree
from tests.opensloth_core.training.checkpoint.conftest import Training, adamw


def sgd(groups: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def adamw_8bit(groups: Any) -> torch.optim.Optimizer:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    return bitsandbytes.optim.AdamW8bit(groups, lr=0.1)


@pytest.mark.parametrize("optimizer", [adamw, sgd, adamw_8bit])
def test_a_restored_training_goes_on_bit_for_bit(optimizer: Any, tmp_path: Path) -> None:
    saved = Training(optimizer, width=100)  # 80 x 100 weights: enough for bitsandbytes to keep 8 bits of each
    saved.steps(4)
    path = saved.save(tmp_path, 4).path
    expected = saved.steps(5)
    torch.manual_seed(99)
    restored = Training(optimizer, width=100)
    restored.steps(1)
    restored.restore(path)
    assert restored.steps(5) == expected
    for weight, own in zip(saved.model.parameters(), restored.model.parameters(), strict=True):
        assert torch.equal(weight, own)
    assert restored.scheduler.get_last_lr() == saved.scheduler.get_last_lr()


def test_the_test_above_would_see_that_random_numbers_are_not_restored(tmp_path: Path) -> None:
    saved = Training(adamw)
    saved.steps(4)
    path = saved.save(tmp_path, 4).path
    expected = saved.steps(1)
    saved.restore(path)
    torch.manual_seed(99)
    assert saved.steps(1) != expected


def test_weights_that_are_not_trained_are_not_in_a_checkpoint(training: Training, tmp_path: Path) -> None:
    path = training.save(tmp_path, 1).path
    assert set(read_tree(path, "weights")) == {"0.weight", "0.bias", "2.weight"}


def test_a_learning_rate_that_was_allowed_to_change_takes_effect(tmp_path: Path) -> None:
    saved = Training(adamw)
    saved.steps(5)
    path = saved.save(tmp_path, 5).path
    restored = Training(lambda groups: adamw(groups, lr=0.4))
    restored.restore(path)
    # Half of 10 steps of the cosine are done: half of the peak.
    assert restored.optimizer.param_groups[0]["lr"] == pytest.approx(0.2)
    assert restored.optimizer.param_groups[0]["weight_decay"] == 0.01
    restored.steps(1)
    assert restored.optimizer.param_groups[0]["lr"] == pytest.approx(0.4 * 0.3455, abs=1e-4)


def test_weights_of_another_shape_or_name_are_refused(training: Training) -> None:
    weights = trained_weights(training.model)
    narrow = {**weights, "0.bias": torch.zeros(3)}
    with pytest.raises(ConfigError, match=r"0\.bias: has shape \(80,\), in the checkpoint \(3,\)"):
        restore_weights(training.model, narrow)
    with pytest.raises(ConfigError, match=r"2\.bias: this run does not train it"):
        restore_weights(training.model, {**weights, "2.bias": torch.zeros(80)})
