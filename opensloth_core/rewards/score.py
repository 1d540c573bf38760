"""The rewards of completions, each and added up."""

from collections.abc import Sequence
from dataclasses import dataclass

from opensloth_core.errors import DataError
from opensloth_core.rewards.completions import Completions
from opensloth_core.rewards.reference import quoted
from opensloth_core.rewards.reward import Reward


@dataclass(frozen=True)
class Scored:
    """What N completions are worth.

    Attributes:
        totals: of each the weighted sum of its scores; `None` where no reward applies.
        scores: by the reward's name, before weights; `None` where it does not apply.
        left_out: a sentence for each row that a reward cannot use, or that none applies to.
    """

    totals: list[float | None]
    scores: dict[str, list[float | None]]
    left_out: list[str]


def weighted_rewards(rewards: Sequence[tuple[Reward, float]], completions: Completions) -> Scored:
    """The total of each completion, its scores, and what could not be scored.

    total_i = sum over the rewards k that apply to row i of weight_k * score_ik

    A reward does not apply to a row whose columns it cannot use: among thousands of rows there is always
    an odd one, which must not end a run.

    Args:
        rewards: at least one, with its weight.

    Raises:
        TrainingError: the user's own function failed, or a reward's process does not start.
        ConfigError: this machine cannot run a reward.
    """
    assert rewards, "no reward"
    problems: dict[int, list[str]] = {}
    scores = {reward.name: _scores(reward, completions, problems) for reward, _ in rewards}
    totals = []
    for index in range(len(completions)):
        parts = [
            weight * score for reward, weight in rewards if (score := scores[reward.name][index]) is not None
        ]
        totals.append(sum(parts) if parts else None)
        if not parts:
            problems.setdefault(index, [f"{', '.join(scores)} found nothing to compare with"])
    left_out = [f"{_asked(completions, index)}: {'; '.join(why)}" for index, why in sorted(problems.items())]
    return Scored(totals, scores, list(dict.fromkeys(left_out)))


def _scores(reward: Reward, completions: Completions, problems: dict[int, list[str]]) -> list[float | None]:
    """The scores of one reward; why it cannot use a row goes to `problems`."""
    usable = []
    for index in range(len(completions)):
        try:
            if reward.check_row is not None:
                reward.check_row(completions.row(index))
            usable.append(index)
        except DataError as err:
            problems.setdefault(index, []).append(str(err))
    scores: list[float | None] = [None] * len(completions)
    if usable:
        found = reward.score(completions.of(usable))
        assert len(found) == len(usable), f"reward {reward.name}: {len(found)} scores"
        for index, score in zip(usable, found, strict=True):
            scores[index] = score
    return scores


def _asked(completions: Completions, index: int) -> str:
    prompt = completions.prompts[index]
    return f"the prompt that ends with {quoted(prompt[-1].get('content') if prompt else '')}"
