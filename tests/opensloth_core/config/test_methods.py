"""What a method brings with it, and what it refuses."""

from typing import Any

import pytest

from opensloth_core.config.batch import BatchPlan
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError

BASE = {"data": "d.jsonl", "model": "m"}
GRPO = {**BASE, "method": "grpo", "grpo": {"reward": "math"}}


def config(**values: Any) -> OpenSlothConfig:
    return OpenSlothConfig.of({**BASE, **values})


@pytest.mark.parametrize(
    ("values", "learning_rate", "batch_size"),
    [
        ({}, 2e-4, 2),
        ({"finetuning_type": "full"}, 2e-5, 2),
        ({"method": "dpo"}, 5e-6, 2),
        ({"method": "dpo", "finetuning_type": "full"}, 5e-7, 2),
        (GRPO, 5e-6, 8),
        ({**GRPO, "grpo": {"reward": "math", "num_generations": 4}}, 5e-6, 4),
        ({**GRPO, "finetuning_type": "full"}, 1e-6, 8),
        ({"method": "dpo", "training": {"lr": 1e-3, "batch_size": 5}}, 1e-3, 5),
    ],
)
def test_each_method_has_its_own_defaults(
    values: dict[str, Any], learning_rate: float, batch_size: int
) -> None:
    given = config(**values)
    assert (given.learning_rate, given.batch_size) == (learning_rate, batch_size)
    resolved = given.resolved()
    assert resolved.training.learning_rate == learning_rate
    assert resolved.batch_size == batch_size
    assert resolved.resolved() == resolved
    assert OpenSlothConfig.of(resolved.model_dump(mode="json")) == resolved


def test_completions_come_on_top_of_the_prompt() -> None:
    assert config().context_length == 2048
    assert config(**GRPO).context_length == 2048 + 512


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dpo": {"beta": 0.5}}, "beta: has no meaning for method sft; drop it"),
        ({"method": "dpo", "grpo": {"reward": "format"}}, "reward: has no meaning for method dpo; drop it"),
        (
            {"method": "grpo", "grpo": {"reward": []}},
            "reward: required for method grpo, such as math or package.module:function",
        ),
        ({"training": {"batch_size": "many"}}, "training.batch_size"),
        (
            {"training": {"batch_size": "auto", "gradient_accumulation_steps": 2}},
            'batch_size "auto" decides it',
        ),
    ],
)
def test_what_a_method_cannot_use_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(**values)
    assert message in str(caught.value)


def test_the_completions_of_a_prompt_stay_on_one_rank() -> None:
    halves = {**GRPO, "training": {"batch_size": 4, "gradient_accumulation_steps": 2}}
    assert config(**halves).batch_plan(2) == BatchPlan(4, 2, 2)
    with pytest.raises(ConfigError) as caught:
        config(**{**GRPO, "training": {"batch_size": 4}}).batch_plan(1)
    assert str(caught.value) == (
        "batch_size 4 x gradient_accumulation_steps 1 = 4 completions a step on a GPU are not a multiple of "
        "num_generations 8; change one of the three"
    )


@pytest.mark.parametrize(
    ("values", "on_gpu", "on_cpu"),
    [
        ({}, True, False),
        ({"method": "dpo"}, True, False),
        (GRPO, False, False),
        ({"training": {"batch_size": "auto"}}, True, True),
        ({"training": {"batch_size": 4}}, False, False),
        ({"training": {"gradient_accumulation_steps": 4}}, False, False),
        ({"training": {"global_batch_size": 64}}, True, False),
    ],
)
def test_micro_batches_are_measured_on_gpus_unless_numbers_are_given(
    values: dict[str, Any], on_gpu: bool, on_cpu: bool
) -> None:
    given = config(**values)
    assert (given.measures_batch(on_gpu=True), given.measures_batch(on_gpu=False)) == (on_gpu, on_cpu)
    written = given.resolved()
    assert (written.measures_batch(on_gpu=True), written.measures_batch(on_gpu=False)) == (on_gpu, on_cpu)


def test_a_default_is_never_what_does_not_divide_a_global_batch() -> None:
    assert config(training={"global_batch_size": 6}).batch_plan(1) == BatchPlan(2, 3, 1)
    assert config(training={"global_batch_size": 5}).batch_plan(1) == BatchPlan(1, 5, 1)
    assert config(training={"global_batch_size": 6}).batch_plan(3) == BatchPlan(2, 1, 3)
