"""A small training in plain torch, with everything a checkpoint has to carry."""

import math
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from opensloth_core.training.checkpoint.manifest import MadeWith, Position
from opensloth_core.training.checkpoint.random_state import random_state, restore_random_state
from opensloth_core.training.checkpoint.restore import (
    restore_optimizer,
    restore_scheduler,
    restore_weights,
    trained_weights,
)
from opensloth_core.training.checkpoint.tree import read_tree
from opensloth_core.training.checkpoint.write import Written, write_checkpoint

MADE_WITH = MadeWith(
    prepared_key="a1",
    prepared_parts={"input": "rows"},
    model="m1",
    device="cpu",
    world_size=1,
    batch_size=2,
    gradient_accumulation_steps=1,
    settings={"learning_rate": 0.1},
    versions={},
)

Optimizer = Callable[[Any], torch.optim.Optimizer]


def curve(total: int, step: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / total))


class Training:
    """Two layers with dropout between; the data is drawn too, so every number depends on random ones."""

    def __init__(self, optimizer: Optimizer, width: int = 80) -> None:
        torch.manual_seed(3)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(8, width), torch.nn.Dropout(0.3), torch.nn.Linear(width, 80)
        )
        self.model[2].bias.requires_grad = False
        groups = [
            {"params": [self.model[0].weight, self.model[2].weight], "weight_decay": 0.01},
            {"params": [self.model[0].bias], "weight_decay": 0.0},
        ]
        self.optimizer = optimizer(groups)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, partial(curve, 10))

    def steps(self, count: int) -> list[float]:
        """Losses of so many steps more."""
        losses = []
        for _ in range(count):
            loss = self.model(torch.randn(4, 8)).square().mean()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()
            losses.append(loss.item())
        return losses

    def save(self, checkpoints_dir: Path, step: int, limit: int = 9) -> Written:
        parts = {
            "weights": trained_weights(self.model),
            "optimizer": self.optimizer.state_dict(),
            "trainer": {"scheduler": self.scheduler.state_dict()},
            "rank-0": {"random": random_state("cpu"), "extra": None},
        }
        position = Position(step=step, epoch=0.5, trained_tokens=7)
        return write_checkpoint(checkpoints_dir, position, parts, MADE_WITH, 0, "cpu", limit)

    def restore(self, path: Path) -> None:
        restore_weights(self.model, read_tree(path, "weights"))
        restore_optimizer(self.optimizer, read_tree(path, "optimizer"))
        restore_scheduler(self.scheduler, read_tree(path, "trainer")["scheduler"])
        restore_random_state(read_tree(path, "rank-0")["random"], "cpu")


def adamw(groups: Any, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=lr)


@pytest.fixture
def training() -> Training:
    return Training(adamw)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 512 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
