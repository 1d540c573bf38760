"""What a reward function is given, and how it looks up what a row holds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from opensloth_core.rewards.after_thinking import THINK_OPEN


@dataclass(frozen=True)
class Completions:
    """The N completions that are scored at once, as columns of N values each.

    Attributes:
        texts: what the model wrote, without special tokens.
        prompts: the messages each completion answers.
        columns: the row's further columns; the values repeat where a prompt has several completions.
        num_tokens: length of each completion in tokens.
        is_finished: whether the completion ended with the end token rather than at the limit.
        is_thinking: whether the prompt, as the chat template writes it, ends with an open `<think>`,
            which the completion goes on from.
        max_tokens: the limit, `max_completion_length`.
    """

    texts: list[str]
    prompts: list[list[dict[str, Any]]]
    columns: dict[str, list[Any]]
    num_tokens: list[int]
    is_finished: list[bool]
    is_thinking: list[bool]
    max_tokens: int

    def __post_init__(self) -> None:
        lengths = {
            "texts": len(self.texts),
            "prompts": len(self.prompts),
            "num_tokens": len(self.num_tokens),
            "is_finished": len(self.is_finished),
            "is_thinking": len(self.is_thinking),
            **{f"column {name}": len(values) for name, values in self.columns.items()},
        }
        assert len(set(lengths.values())) == 1, f"completions of unequal lengths: {lengths}"
        assert self.max_tokens > 0, f"max_tokens {self.max_tokens}"

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def whole_texts(self) -> list[str]:
        """The texts, with the `<think>` before them that the prompt has opened."""
        return [
            THINK_OPEN + text if is_thinking else text
            for text, is_thinking in zip(self.texts, self.is_thinking, strict=True)
        ]

    def of(self, indices: Sequence[int]) -> "Completions":
        """Those at `indices` alone, in that order."""
        return Completions(
            texts=[self.texts[index] for index in indices],
            prompts=[self.prompts[index] for index in indices],
            columns={name: [values[index] for index in indices] for name, values in self.columns.items()},
            num_tokens=[self.num_tokens[index] for index in indices],
            is_finished=[self.is_finished[index] for index in indices],
            is_thinking=[self.is_thinking[index] for index in indices],
            max_tokens=self.max_tokens,
        )

    def row(self, index: int) -> dict[str, Any]:
        """The further columns of the row that a completion answers."""
        return {name: values[index] for name, values in self.columns.items()}

    def column(self, names: Sequence[str]) -> list[Any]:
        """Of each row the value of the first of the columns that it has one in; `None` where it has none."""
        present = [self.columns[name] for name in names if name in self.columns]
        return [first_value(values[index] for values in present) for index in range(len(self))]


def first_value(values: Iterable[Any]) -> Any:
    """The first value that is not null, or `None`."""
    return next((value for value in values if value is not None), None)


ScoreFunction = Callable[[Completions], list[float | None]]
"""A score for each completion; `None` where the reward does not apply to the row."""
