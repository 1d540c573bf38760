"""Settings that cannot take effect on the devices there are, or beside the others."""

from opensloth_core.checks.dpo import refuse_settings_without_effect
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError


def check_settings(config: OpenSlothConfig, on_cpu: bool) -> None:
    """Refuse what could not take effect.

    Raises:
        ConfigError: the setting, its value and the way out.
    """
    if on_cpu:
        _check_cpu(config)
    if config.finetuning_type == "full" and "lora" in config.model_fields_set:
        given = ", ".join(sorted(config.lora.model_fields_set))
        raise ConfigError(f"finetuning_type full: there is no adapter, {given} would have no effect; drop it")
    if config.training.eval_steps is not None and config.eval_size is None:
        raise ConfigError(
            f"eval_steps {config.training.eval_steps}: no rows are held out to evaluate on; give eval_size, "
            "such as 5%, or drop it"
        )
    if config.method == "dpo":
        refuse_settings_without_effect(config)


def _check_cpu(config: OpenSlothConfig) -> None:
    if config.finetuning_type == "qlora":
        raise ConfigError("finetuning_type qlora: 4-bit training needs a GPU; use lora")
    if config.training.optimizer == "adamw_8bit":
        raise ConfigError("optimizer adamw_8bit: needs a GPU; use adamw_torch")
