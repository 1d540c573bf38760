"""What the ranks tell one another about a step, and the metrics they make of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev

from opensloth_core.errors import OpenSlothError


@dataclass(frozen=True)
class RankStep:
    """One rank's completions of a step, or the error that kept them from being scored."""

    rewards: list[float | None] = field(default_factory=list)
    """Totals; those of a prompt are next to one another. `None` where no reward applies."""

    scores: dict[str, list[float | None]] = field(default_factory=dict)
    """By the reward's name, before weights."""

    left_out: list[str] = field(default_factory=list)
    """A sentence for each row that a reward cannot use, or that none applies to."""

    num_tokens: list[int] = field(default_factory=list)
    """Length of each completion."""

    is_finished: list[bool] = field(default_factory=list)
    """Whether it ended before the limit."""

    generate_seconds: float = 0.0
    reward_seconds: float = 0.0
    has_numbers: bool = True
    """Whether completions could be sampled; not where the model's probabilities are no numbers."""

    error: OpenSlothError | None = None

    @property
    def num_trained_tokens(self) -> int:
        """Tokens of the completions that are rewarded; no other counts in the loss."""
        pairs = zip(self.rewards, self.num_tokens, strict=True)
        return sum(length for reward, length in pairs if reward is not None)


def together(parts: Sequence[RankStep]) -> RankStep:
    """The step of all ranks; seconds are those of the slowest.

    Raises:
        OpenSlothError: the first that a rank met; every rank raises the same one.
    """
    for part in parts:
        if part.error is not None:
            raise part.error
    names = parts[0].scores
    return RankStep(
        rewards=[reward for part in parts for reward in part.rewards],
        scores={name: [score for part in parts for score in part.scores[name]] for name in names},
        left_out=[row for part in parts for row in part.left_out],
        num_tokens=[length for part in parts for length in part.num_tokens],
        is_finished=[ended for part in parts for ended in part.is_finished],
        generate_seconds=max(part.generate_seconds for part in parts),
        reward_seconds=max(part.reward_seconds for part in parts),
    )


def step_metrics(step: RankStep, num_generations: int) -> dict[str, float]:
    """Metrics of a step of all ranks, under TRL's names where it has one.

    `frac_reward_zero_std` is the share of prompts that teach nothing, since their completions are rewarded
    equally or not at all; `frac_no_reward` that of completions that no reward applies to. A reward that
    applied to no row of the step has no metric.
    """
    starts = range(0, len(step.rewards), num_generations)
    groups = [set(step.rewards[start : start + num_generations]) for start in starts]
    rewarded = [reward for reward in step.rewards if reward is not None]
    metrics = {
        **({"reward": fmean(rewarded), "reward_std": pstdev(rewarded)} if rewarded else {}),
        "frac_no_reward": 1 - len(rewarded) / len(step.rewards),
        "frac_reward_zero_std": fmean(len(group - {None}) <= 1 for group in groups),
        "completions/mean_length": fmean(step.num_tokens),
        "completions/min_length": float(min(step.num_tokens)),
        "completions/max_length": float(max(step.num_tokens)),
        "completions/finished": fmean(step.is_finished),
        "seconds/generate": step.generate_seconds,
        "seconds/reward": step.reward_seconds,
    }
    for name, scores in step.scores.items():
        known = [score for score in scores if score is not None]
        if known:
            metrics[f"rewards/{name}"] = fmean(known)
    assert all(math.isfinite(value) for value in metrics.values()), metrics
    return metrics
