"""Stops a run whose reward teaches nothing."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from opensloth_core.errors import TrainingError
from opensloth_core.readme import more_in_readme


class ConstantRewardWatch:
    """Raises when all rewards of the first `patience` steps are one and the same value, or there are none.

    Advantages are differences between rewards, so such a run has no gradient. Once two rewards have
    differed the watch is over.
    """

    def __init__(self, patience: int = 10) -> None:
        """Watch the first `patience` steps (at least 1)."""
        assert patience >= 1, f"patience {patience}"
        self._patience = patience
        self._num_steps = 0
        self._is_over = False
        self._value: float | None = None
        self._spread: dict[str, list[float]] = {}
        self._num_unfinished = 0
        self._num_completions = 0

    def feed(
        self,
        rewards: Sequence[float | None],
        scores: Mapping[str, Sequence[float | None]] | None = None,
        is_finished: Sequence[bool] | None = None,
    ) -> None:
        """Look at one step.

        Args:
            rewards: the totals of all completions of the step, from all ranks; `None` where none applies.
            scores: the scores of the same completions by reward, for the explanation.
            is_finished: whether each ended before the limit, for the explanation.

        Raises:
            TrainingError: this was the last step of `patience`, and nothing has differed.
        """
        if self._is_over or not rewards:
            return
        for reward in rewards:
            if reward is None:
                continue
            self._value = reward if self._value is None else self._value
            if not _is_one([reward, self._value]):
                self._is_over = True
                return
        for name, values in (scores or {}).items():
            known = [value for value in values if value is not None] + self._spread.get(name, [])
            self._spread[name] = [min(known), max(known)] if known else []
        if is_finished is not None:
            self._num_completions += len(is_finished)
            self._num_unfinished += len(is_finished) - sum(is_finished)
        self._num_steps += 1
        if self._num_steps >= self._patience:
            raise TrainingError(self._explanation())

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as JSON."""
        return {
            "num_steps": self._num_steps,
            "is_over": self._is_over,
            "value": self._value,
            "spread": self._spread,
            "num_unfinished": self._num_unfinished,
            "num_completions": self._num_completions,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._num_steps = state["num_steps"]
        self._is_over = state["is_over"]
        self._value = state["value"]
        self._spread = {name: list(spread) for name, spread in state["spread"].items()}
        self._num_unfinished = state["num_unfinished"]
        self._num_completions = state["num_completions"]

    def _explanation(self) -> str:
        value = self._value
        was = "no reward applied to any" if value is None else f"the reward was {value:g} for every"
        text = f"{was} completion of the first {self._num_steps} steps, so there is nothing to learn from"
        if self._spread:
            text += f" ({'; '.join(_seen(name, spread) for name, spread in self._spread.items())})"
        return f"{text}. {' '.join(self._advice())}{more_in_readme('Rewards')}"

    def _advice(self) -> list[str]:
        constant = {name: spread[0] for name, spread in self._spread.items() if spread and _is_one(spread)}
        advice = []
        if self._value is None:
            return ["Check that rows hold what the rewards read, or add a reward that reads nothing."]
        if self._num_completions:
            share = self._num_unfinished / self._num_completions
            if share > 0.5:
                advice.append(
                    f"{share:.0%} of the completions were cut at the token limit: "
                    "raise max_completion_length, or ask for shorter answers."
                )
        for name in ("math", "exact", "code"):
            if name in constant and constant[name] <= 0:
                advice.append(f"Check that the column that {name} reads holds the right answers or tests.")
        if constant.get("format") == 0:
            advice.append("The format was never met: describe it in the system prompt.")
        if any(name in constant and constant[name] == 1 for name in ("math", "exact", "code")):
            advice.append("Everything is solved already: take harder data.")
        if not advice:
            advice.append("Check the rewards' columns, the limit on the completions, and a few completions.")
        advice.append("A higher temperature or more generations a prompt give rewards a chance to differ.")
        return advice


def _is_one(spread: Sequence[float]) -> bool:
    return math.isclose(spread[0], spread[1], rel_tol=1e-9, abs_tol=1e-12)


def _seen(name: str, spread: list[float]) -> str:
    if not spread:
        return f"{name}: applied to no row"
    return f"{name}: always {spread[0]:g}" if _is_one(spread) else f"{name}: {spread[0]:g} to {spread[1]:g}"
