"""The configuration of a training that is repeated as its data grows."""

from pathlib import Path

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.models.start import find_start

EVAL_SIZE = 0.1
"""Share of the rows that is held out where the configuration does not say."""

_ELSEWHERE = ("output", "data_output", "init_from", "pretrained_lora")

REFUSED = frozenset({"prepared", "merge_lora", *_ELSEWHERE})
"""Settings with which nothing can be retrained; a number of rows as `eval_size` is refused too."""

ADAPTERS = ("lora", "qlora")
"""What `finetuning_type` may be."""


def retraining_config(config: OpenSlothConfig) -> OpenSlothConfig:
    """The configuration with a share of the rows held out.

    Raises:
        ConfigError: a setting with which models of different data cannot be compared or kept.
    """
    if config.prepared is not None:
        raise ConfigError(
            f"prepared {config.prepared}: has no meaning for retraining, which prepares what data holds by "
            "then; drop it"
        )
    for name in _ELSEWHERE:
        if getattr(config, name) is not None:
            raise ConfigError(
                f"{name} {getattr(config, name)}: has no meaning for retraining, which keeps its models "
                "under their name and starts from model, or with warm_start from the promoted one; drop it"
            )
    if config.finetuning_type not in ADAPTERS or config.merge_lora:
        what = "merge_lora" if config.merge_lora else f"finetuning_type {config.finetuning_type}"
        raise ConfigError(f"{what}: retraining compares adapters of one model; use {' or '.join(ADAPTERS)}")
    if config.eval_size is None:
        return config.model_copy(update={"eval_size": EVAL_SIZE})
    if config.eval_size >= 1:
        raise ConfigError(
            f"eval_size {config.eval_size:g}: of a number of rows, which ones changes as data grows, and the "
            "promoted model may have been trained on them; give a share such as 10%"
        )
    return config


def with_adapter(config: OpenSlothConfig, adapter_dir: Path | None) -> OpenSlothConfig:
    """The configuration of a training that goes on with an adapter, if one is given.

    It takes the place of an adapter that the configuration names as its model.

    Raises:
        ModelError: there is no such model.
    """
    if adapter_dir is None:
        return config
    base = find_start(config.model).model
    return config.model_copy(update={"model": base, "pretrained_lora": adapter_dir})
