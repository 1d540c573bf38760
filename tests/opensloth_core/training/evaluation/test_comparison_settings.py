"""The settings that adapters of a retraining are measured with."""

import pytest

from opensloth_core.config.data import Method
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.training.evaluation.compare_worker import settings_to_evaluate


@pytest.mark.parametrize("method", ["sft", "dpo", "grpo"])
def test_models_of_every_method_can_be_measured_whatever_batches_they_were_trained_in(method: Method) -> None:
    config = OpenSlothConfig.of(
        {"data": "x.jsonl", "model": "m", "method": method, "training": {"global_batch_size": 32}}
    )
    plan = settings_to_evaluate(config).batch_plan(1)
    assert plan.global_batch_size == (config.grpo.num_generations if method == "grpo" else 1)
