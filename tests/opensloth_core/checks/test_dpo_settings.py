"""Settings that DPO would ignore are refused before anything starts."""

from typing import Any

import pytest

from opensloth_core.checks.dpo import refuse_settings_without_effect
from opensloth_core.config.builder import TrainingConfigBuilder
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError


def dpo_config(settings: dict[str, Any]) -> OpenSlothConfig:
    flags = {"method": "dpo", "data": "pairs.jsonl", "model": "m", **settings}
    return TrainingConfigBuilder().with_flags(flags).build()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora_dropout": 0.05}, "lora_dropout 0.05: dpo compares"),
        ({"label_smoothing": 0.1}, "label_smoothing 0.1 has no effect on loss_type sigmoid"),
        ({"label_smoothing": 0.1, "loss_type": "ipo"}, "no effect on loss_type ipo"),
    ],
)
def test_settings_that_dpo_would_ignore_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        refuse_settings_without_effect(dpo_config(settings))


@pytest.mark.parametrize(
    "settings", [{}, {"loss_type": "ipo"}, {"loss_type": "robust", "label_smoothing": 0.1}]
)
def test_settings_that_dpo_reads_are_taken(settings: dict[str, Any]) -> None:
    refuse_settings_without_effect(dpo_config(settings))
