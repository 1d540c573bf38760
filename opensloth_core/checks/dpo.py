"""Settings that DPO would ignore."""

from opensloth_core.checks.problems import Examination
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError


def refuse_settings_without_effect(config: OpenSlothConfig) -> None:
    """Refuse settings that DPO would ignore, all of them at once.

    Raises:
        SeveralProblems: both of these.
        ConfigError: dropout, or label smoothing of a loss that has none.
    """
    found = Examination()
    found.try_(lambda: _check_dropout(config))
    found.try_(lambda: _check_smoothing(config))
    found.refuse()


def _check_dropout(config: OpenSlothConfig) -> None:
    if config.finetuning_type != "full" and config.lora.lora_dropout:
        raise ConfigError(
            f"lora_dropout {config.lora.lora_dropout}: dpo compares log-probabilities with those of the "
            "reference, so it runs without dropout; drop the setting"
        )


def _check_smoothing(config: OpenSlothConfig) -> None:
    if config.dpo.label_smoothing and config.dpo.loss_type != "robust":
        raise ConfigError(
            f"label_smoothing {config.dpo.label_smoothing} has no effect on loss_type "
            f"{config.dpo.loss_type}; use loss_type robust or drop the setting"
        )
