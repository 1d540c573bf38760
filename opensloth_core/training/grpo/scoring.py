"""The rewards of a rank's completions."""

from collections.abc import Mapping, Sequence
from typing import Any

from opensloth_core.config.methods import GrpoArguments
from opensloth_core.rewards.completions import Completions
from opensloth_core.rewards.registry import Reward, find_reward
from opensloth_core.rewards.score import weighted_rewards

PROMPT = "prompt"
"""Column of a prepared row that holds the prompt's messages."""


class Scorer:
    """Scores completions by the rewards that a configuration names."""

    def __init__(self, settings: GrpoArguments) -> None:
        """Raises ConfigError where there is no such reward."""
        self._rewards: list[tuple[Reward, float]] = [
            (find_reward(choice.name), choice.weight) for choice in settings.reward
        ]
        self._max_tokens = settings.max_completion_length

    def __call__(
        self,
        rows: Sequence[Mapping[str, Any]],
        texts: list[str],
        num_tokens: list[int],
        is_finished: list[bool],
    ) -> tuple[list[float], dict[str, list[float | None]]]:
        """The total of each completion, and the scores by the reward's name.

        Args:
            rows: for each completion, the columns of the row it answers.
            texts: what the completions say, without special tokens.
            num_tokens: their lengths.
            is_finished: whether they reached the end token.

        Raises:
            DataError, TrainingError: see `weighted_rewards`.
        """
        names = sorted({name for row in rows for name in row} - {PROMPT})
        completions = Completions(
            texts=texts,
            prompts=[row[PROMPT] for row in rows],
            columns={name: [row.get(name) for row in rows] for name in names},
            num_tokens=num_tokens,
            is_finished=is_finished,
            max_tokens=self._max_tokens,
        )
        return weighted_rewards(self._rewards, completions)
