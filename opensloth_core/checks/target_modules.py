"""Whether a model has the layers that are to get an adapter."""

from pathlib import Path

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.config.training import LINEAR_LAYERS
from opensloth_core.errors import ConfigError
from opensloth_core.models.modules import matrix_modules, short_names, unknown_modules


def check_target_modules(config: OpenSlothConfig, folder: Path) -> None:
    """Refuse names of layers that the model does not have; of the default it need have one.

    Raises:
        ConfigError: the names, and those there are.
        ModelError: a file of weights cannot be read.
    """
    modules = matrix_modules(folder)
    if config.finetuning_type == "full" or not modules:
        return
    wanted = config.lora.target_modules
    unknown = unknown_modules(wanted, modules)
    if not unknown or (wanted == LINEAR_LAYERS and len(unknown) < len(wanted)):
        return
    raise ConfigError(
        f"target_modules {','.join(unknown)}: the model {config.model} has no layers of such names; give "
        f"some of --target-modules {','.join(short_names(modules) or sorted(modules))}"
    )
