"""Settings that cannot take effect on the devices there are, or beside the others."""

from opensloth_core.checks.dpo import refuse_settings_without_effect
from opensloth_core.checks.problems import Examination
from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError


def check_settings(config: OpenSlothConfig, on_cpu: bool) -> None:
    """Refuse what could not take effect, all of it at once.

    Raises:
        SeveralProblems: more than one of these.
        ConfigError: the setting, its value and the way out.
    """
    found = Examination()
    if on_cpu:
        found.try_(lambda: _check_4_bits(config))
        found.try_(lambda: _check_optimizer(config))
    found.try_(lambda: _check_adapter(config))
    found.try_(lambda: _check_evaluation(config))
    if config.method == "dpo":
        found.try_(lambda: refuse_settings_without_effect(config))
    found.refuse()


def _check_4_bits(config: OpenSlothConfig) -> None:
    if config.finetuning_type == "qlora":
        raise ConfigError("finetuning_type qlora: 4-bit training needs a GPU; use lora")


def _check_optimizer(config: OpenSlothConfig) -> None:
    if config.training.optimizer == "adamw_8bit":
        raise ConfigError("optimizer adamw_8bit: needs a GPU; use adamw_torch")


def _check_adapter(config: OpenSlothConfig) -> None:
    if config.finetuning_type == "full" and "lora" in config.model_fields_set:
        given = ", ".join(sorted(config.lora.model_fields_set))
        raise ConfigError(f"finetuning_type full: there is no adapter, {given} would have no effect; drop it")


def _check_evaluation(config: OpenSlothConfig) -> None:
    if config.training.eval_steps is not None and config.eval_size is None:
        raise ConfigError(
            f"eval_steps {config.training.eval_steps}: no rows are held out to evaluate on; give eval_size, "
            "such as 5%, or drop it"
        )
