"""The rewards of a rank's completions."""

from collections.abc import Mapping, Sequence
from typing import Any

from opensloth_core.config.methods import GrpoArguments
from opensloth_core.rewards.after_thinking import THINK_OPEN
from opensloth_core.rewards.completions import Completions
from opensloth_core.rewards.registry import Reward, find_reward
from opensloth_core.rewards.score import Scored, weighted_rewards

PROMPT = "prompt"
"""Column of a prepared row that holds the prompt's messages."""

_TAIL_TOKENS = 32
"""Last tokens of a prompt that `<think>` and line breaks after it surely fit in, be each byte a token."""


class Scorer:
    """Scores completions by the rewards that a configuration names."""

    def __init__(self, settings: GrpoArguments, tokenizer: Any) -> None:
        """Raises ConfigError where there is no such reward."""
        self._tokenizer = tokenizer
        self._rewards: list[tuple[Reward, float]] = [
            (find_reward(choice.name), choice.weight) for choice in settings.reward
        ]
        self._max_tokens = settings.max_completion_length

    def __call__(
        self,
        rows: Sequence[Mapping[str, Any]],
        prompts: Sequence[Sequence[int]],
        texts: list[str],
        num_tokens: list[int],
        is_finished: list[bool],
    ) -> Scored:
        """What the completions are worth.

        Args:
            rows: for each completion, the columns of the row it answers.
            prompts: the tokens that each completion follows.
            texts: what the completions say, without special tokens.
            num_tokens: their lengths.
            is_finished: whether they reached the end token.

        Raises:
            TrainingError, ConfigError: see `weighted_rewards`.
        """
        names = sorted({name for row in rows for name in row} - {PROMPT})
        completions = Completions(
            texts=texts,
            prompts=[row[PROMPT] for row in rows],
            columns={name: [row.get(name) for row in rows] for name in names},
            num_tokens=num_tokens,
            is_finished=is_finished,
            is_thinking=[self._ends_in_thought(prompt) for prompt in prompts],
            max_tokens=self._max_tokens,
        )
        return weighted_rewards(self._rewards, completions)

    def _ends_in_thought(self, prompt: Sequence[int]) -> bool:
        """Whether the chat template has opened the thinking itself, behind the last message."""
        tail: str = self._tokenizer.decode(list(prompt[-_TAIL_TOKENS:]), skip_special_tokens=False)
        return tail.rstrip().endswith(THINK_OPEN)
