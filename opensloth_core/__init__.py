"""The nouns of OpenSloth: configuration, data, store, training. Works without an orchestrator.

from opensloth_core import run_prepare_data, run_training

prepared = run_prepare_data({"data": "train.jsonl", "model": "embedded", "gpus": 1})
trained = run_training({"epochs": 3}, prepared)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opensloth_core.api import PreparedData, TrainedModel, run_prepare_data, run_training
    from opensloth_core.config.builder import TrainingConfigBuilder
    from opensloth_core.config.data import DatasetPrepConfig
    from opensloth_core.config.opensloth import OpenSlothConfig
    from opensloth_core.config.training import LoraArguments, TrainingArguments
    from opensloth_core.preparers import GemmaDatasetPreparer, QwenDatasetPreparer

_HOMES = {
    "DatasetPrepConfig": "opensloth_core.config.data",
    "GemmaDatasetPreparer": "opensloth_core.preparers",
    "LoraArguments": "opensloth_core.config.training",
    "OpenSlothConfig": "opensloth_core.config.opensloth",
    "PreparedData": "opensloth_core.api",
    "QwenDatasetPreparer": "opensloth_core.preparers",
    "TrainedModel": "opensloth_core.api",
    "TrainingArguments": "opensloth_core.config.training",
    "TrainingConfigBuilder": "opensloth_core.config.builder",
    "run_prepare_data": "opensloth_core.api",
    "run_training": "opensloth_core.api",
}

__all__ = [
    "DatasetPrepConfig",
    "GemmaDatasetPreparer",
    "LoraArguments",
    "OpenSlothConfig",
    "PreparedData",
    "QwenDatasetPreparer",
    "TrainedModel",
    "TrainingArguments",
    "TrainingConfigBuilder",
    "run_prepare_data",
    "run_training",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when used, so that the configuration alone stays instant."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
