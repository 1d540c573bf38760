"""Batch arithmetic, worked by hand."""

import pytest

from opensloth_core.config.batch import batch_plan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError


def test_global_batch_is_the_product_of_the_three() -> None:
    plan = batch_plan(4, 3, None, world_size=2)
    assert plan.global_batch_size == 24


def test_accumulation_is_one_when_neither_is_given() -> None:
    plan = batch_plan(4, None, None, world_size=2)
    assert (plan.gradient_accumulation_steps, plan.global_batch_size) == (1, 8)


def test_accumulation_follows_from_the_global_batch() -> None:
    # 32 packs a step / (4 packs x 2 GPUs) = 4 micro-batches.
    assert batch_plan(4, None, 32, world_size=2).gradient_accumulation_steps == 4
    # The same step on one GPU takes 8.
    assert batch_plan(4, None, 32, world_size=1).gradient_accumulation_steps == 8


def test_a_global_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="global_batch_size 10 is not a multiple of batch_size 4 x 2 GPUs = 8"
    ):
        batch_plan(4, None, 10, world_size=2)


def test_contradicting_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="gradient_accumulation_steps 3 contradicts global_batch_size 32"):
        batch_plan(4, 3, 32, world_size=2)


def test_agreeing_numbers_are_accepted() -> None:
    assert batch_plan(4, 4, 32, world_size=2).global_batch_size == 32


def test_a_configuration_plans_for_the_ranks_it_is_given() -> None:
    values = {"data": "d", "model": "m", "training": {"batch_size": 2, "global_batch_size": 12}}
    assert OpenSlothConfig.of(values).batch_plan(3).gradient_accumulation_steps == 2
