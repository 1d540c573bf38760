"""The rewards of completions, each and added up."""

from collections.abc import Sequence

from opensloth_core.errors import DataError
from opensloth_core.rewards.completions import Completions
from opensloth_core.rewards.reference import quoted
from opensloth_core.rewards.reward import Reward


def weighted_rewards(
    rewards: Sequence[tuple[Reward, float]], completions: Completions
) -> tuple[list[float], dict[str, list[float | None]]]:
    """The total of each completion, and the unweighted scores by the reward's name.

    total_i = sum over the rewards k that apply to row i of weight_k * score_ik

    Args:
        rewards: at least one, with its weight.

    Raises:
        DataError: no reward applies to a row, or a row's columns cannot be used.
        TrainingError: the user's own function failed.
    """
    assert rewards, "no reward"
    scores = {reward.name: reward.score(completions) for reward, _ in rewards}
    for name, values in scores.items():
        assert len(values) == len(completions), f"reward {name}: {len(values)} scores"
    totals = []
    for index in range(len(completions)):
        parts = [
            weight * score for reward, weight in rewards if (score := scores[reward.name][index]) is not None
        ]
        if not parts:
            prompt = completions.prompts[index]
            asked = prompt[-1].get("content") if prompt else ""
            raise DataError(
                f"no reward applies to the row whose prompt ends with {quoted(asked)}: "
                f"{', '.join(scores)} found nothing to compare with; add a reward that does, or drop the row"
            )
        totals.append(sum(parts))
    return totals, scores
