"""Whether the rewards of a GRPO run are there, and find in the data what they read."""

from collections.abc import Sequence

from opensloth_core.config.opensloth import OpenSlothConfig
from opensloth_core.data.example import Prompt
from opensloth_core.data.probe import ProbedRow
from opensloth_core.errors import DataError
from opensloth_core.rewards.registry import check_columns, find_reward


def check_rewards(config: OpenSlothConfig, rows: Sequence[ProbedRow]) -> None:
    """Refuse rewards that do not exist or cannot score the first rows of the data.

    Raises:
        ConfigError: no such reward, or none of the rows has the columns that it reads.
        DataError: a row's columns hold what a reward cannot use.
    """
    if config.method != "grpo":
        return
    prompts = [(row.place, row.example) for row in rows if isinstance(row.example, Prompt)]
    columns = {name for _, prompt in prompts for name, value in prompt.columns.items() if value is not None}
    for choice in config.grpo.reward:
        reward = find_reward(choice.name)
        check_columns(reward, columns)
        if reward.check_row is None:
            continue
        for place, prompt in prompts:
            try:
                reward.check_row(prompt.columns)
            except DataError as err:
                raise DataError(f"{place}: {err}") from err
