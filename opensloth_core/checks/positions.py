"""Whether what is trained fits into a model's positions, beyond which it has learnt nothing.

Unsloth would stretch the positions of a model that is loaded for longer sequences, in that run alone: the
adapter that is saved says nothing of it.
"""

from pathlib import Path

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.errors import ConfigError
from opensloth_core.models.positions import max_positions


def check_positions(config: OpenSlothConfig, folder: Path) -> None:
    """Refuse examples, prompts or completions that may be longer than the model's positions.

    Whether a prompt and its completion fit together depends on the data; see `check_prompts`.

    Raises:
        ConfigError: the setting, and what the model has.
    """
    positions = max_positions(folder)
    if positions is None:
        return
    completion = config.context_length - config.max_seq_length
    if completion >= positions:
        raise ConfigError(
            f"max_completion_length {completion}: the model {config.model} has {positions} positions, for "
            f"prompt and completion together; lower --max-completion-length, to {positions // 2} for example"
        )
    if config.max_seq_length > positions:
        raise ConfigError(
            f"max_seq_length {config.max_seq_length}: the model {config.model} has {positions} positions; "
            f"lower --max-seq-length to {positions - completion}"
        )


def check_prompts(config: OpenSlothConfig, folder: Path, longest: int) -> None:
    """Refuse data with a prompt behind which the model has no room for a whole completion.

    Args:
        folder: the model's.
        longest: tokens of the longest prompt.

    Raises:
        ConfigError: the settings that leave such prompts out, or give them room.
    """
    positions, completion = max_positions(folder), config.grpo.max_completion_length
    if positions is None or longest + completion <= positions:
        return
    raise ConfigError(
        f"max_completion_length {completion}: the longest prompt has {longest} tokens, and the model "
        f"{config.model} has {positions} positions for both together; lower --max-seq-length to "
        f"{positions - completion}, which leaves such prompts out, or --max-completion-length to "
        f"{positions - longest}"
    )
