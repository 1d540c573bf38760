"""Stops a run whose reward teaches nothing, and names rewards that teach nothing beside others."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opensloth_core.errors import TrainingError
from opensloth_core.readme import more_in_readme


class ConstantRewardWatch:
    """Raises when in the first `patience` steps no two completions of a prompt were rewarded differently.

    Advantages are differences from the mean of a prompt's completions, so such a run has no gradient. The
    watch is over after these steps, or after all of a shorter run, which is told the same as a warning.
    """

    def __init__(self, group_size: int, patience: int = 10, num_steps: int | None = None) -> None:
        """Watch the first `patience` steps (at least 1) of `group_size` completions of each prompt.

        Args:
            num_steps: of the whole run, if it is known.
        """
        assert patience >= 1, f"patience {patience}"
        self._group_size = group_size
        self._patience = patience
        self._last = patience if num_steps is None else min(patience, num_steps)
        self._num_steps = 0
        self._is_over = False
        self._teaches = False
        self._totals: list[float] = []
        self._spread: dict[str, list[float]] = {}
        self._teaching: set[str] = set()
        self._num_unfinished = 0
        self._num_completions = 0

    def feed(
        self,
        rewards: Sequence[float | None],
        scores: Mapping[str, Sequence[float | None]] | None = None,
        is_finished: Sequence[bool] | None = None,
    ) -> list[str]:
        """Look at one step; at the last that is watched, a line on each reward that taught nothing.

        Args:
            rewards: the totals of all completions of the step, from all ranks, those of a prompt together;
                `None` where no reward applies.
            scores: the scores of the same completions by reward.
            is_finished: whether each ended before the limit, for the explanation.

        Raises:
            TrainingError: this was the last step of `patience`, and no prompt's totals have differed.
        """
        if self._is_over or not rewards:
            return []
        self._totals = _widened(self._totals, rewards)
        self._teaches = self._teaches or self._differs(rewards)
        for name, values in (scores or {}).items():
            self._spread[name] = _widened(self._spread.get(name, []), values)
            if self._differs(values):
                self._teaching.add(name)
        if is_finished is not None:
            self._num_completions += len(is_finished)
            self._num_unfinished += len(is_finished) - sum(is_finished)
        self._num_steps += 1
        if self._num_steps < self._last:
            return []
        self._is_over = True
        if not self._teaches and self._last < self._patience:
            return [self._explanation()]
        if not self._teaches:
            raise TrainingError(self._explanation())
        return [self._warning(name) for name in self._spread if name not in self._teaching]

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as JSON."""
        return {
            "num_steps": self._num_steps,
            "is_over": self._is_over,
            "teaches": self._teaches,
            "totals": self._totals,
            "spread": self._spread,
            "teaching": sorted(self._teaching),
            "num_unfinished": self._num_unfinished,
            "num_completions": self._num_completions,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, now or before it told prompts apart (`value`, no `totals`)."""
        self._num_steps = state["num_steps"]
        self._is_over = state["is_over"]
        self._spread = {name: list(spread) for name, spread in state["spread"].items()}
        self._num_unfinished = state["num_unfinished"]
        self._num_completions = state["num_completions"]
        value = state.get("value")
        self._totals = list(state.get("totals", [] if value is None else [value, value]))
        self._teaches = state.get("teaches", False)
        varied = [name for name, spread in self._spread.items() if spread and not _is_one(spread)]
        self._teaching = set(state.get("teaching", varied))

    def _differs(self, values: Sequence[float | None]) -> bool:
        """Whether two completions of one prompt have different values."""
        starts = range(0, len(values), self._group_size)
        groups = (values[start : start + self._group_size] for start in starts)
        return any(not _is_one(spread) for group in groups if (spread := _widened([], group)))

    def _explanation(self) -> str:
        steps = f"the first {self._num_steps} steps" if self._num_steps > 1 else "the first step"
        if not self._totals:
            text = f"no reward applied to any completion of {steps}"
        elif _is_one(self._totals):
            text = f"the reward was {self._totals[0]:g} for every completion of {steps}"
        else:
            low, high = self._totals
            text = f"each prompt's completions were all rewarded alike ({low:g} to {high:g}) in {steps}"
        text += ", so there is nothing to learn from"
        if self._spread:
            text += f" ({'; '.join(_seen(name, spread) for name, spread in self._spread.items())})"
        return f"{text}. {' '.join(self._advice())}{more_in_readme('Rewards')}"

    def _warning(self, name: str) -> str:
        """What a person should know of a reward that teaches nothing beside others that do."""
        advice = next(self._advice_of(name), "Check its column, and a few completions.")
        return (
            f"the reward {name} was the same for all completions of each prompt in the first "
            f"{self._num_steps} steps ({_seen(name, self._spread[name])}), so nothing is learnt from it. "
            f"{advice}{more_in_readme('Rewards')}"
        )

    def _advice(self) -> list[str]:
        if not self._totals:
            return ["Check that rows hold what the rewards read, or add a reward that reads nothing."]
        advice = []
        if self._num_completions:
            share = self._num_unfinished / self._num_completions
            if share > 0.5:
                advice.append(
                    f"{share:.0%} of the completions were cut at the token limit: "
                    "raise max_completion_length, or ask for shorter answers."
                )
        for name in self._spread:
            advice += [words for words in self._advice_of(name) if words not in advice]
        if not _is_one(self._totals):
            advice.append("A reward has to depend on the completion, not on the prompt alone.")
        if not advice:
            advice.append("Check the rewards' columns, the limit on the completions, and a few completions.")
        advice.append("A higher temperature or more generations a prompt give rewards a chance to differ.")
        return advice

    def _advice_of(self, name: str) -> Iterator[str]:
        spread = self._spread[name]
        if not spread or not _is_one(spread):
            return
        if name in ("math", "exact", "code") and spread[0] <= 0:
            yield f"Check that the column that {name} reads holds the right answers or tests."
        if name in ("math", "exact", "code") and spread[0] == 1:
            yield "Everything is solved already: take harder data."
        if name == "format" and spread[0] == 0:
            yield "The format was never met: describe it in the system prompt."


def _widened(spread: Sequence[float], values: Sequence[float | None]) -> list[float]:
    """Least and greatest of a spread and some values; empty where there are none."""
    known = [*spread, *(value for value in values if value is not None)]
    return [min(known), max(known)] if known else []


def _is_one(spread: Sequence[float]) -> bool:
    return math.isclose(spread[0], spread[1], rel_tol=1e-9, abs_tol=1e-12)


def _seen(name: str, spread: list[float]) -> str:
    if not spread:
        return f"{name}: applied to no row"
    return f"{name}: always {spread[0]:g}" if _is_one(spread) else f"{name}: {spread[0]:g} to {spread[1]:g}"
