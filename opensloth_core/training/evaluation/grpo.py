"""Mean rewards of the policy on held-out prompts.

Each prompt is answered once, greedily: that depends on nothing but the policy (no random numbers, no number
of ranks), so two evaluations differ by what was learnt between them. Training samples, so its mean reward
is another number.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opensloth_core.config.methods import GrpoArguments
from opensloth_core.training.evaluation.measure import Rows
from opensloth_core.training.grpo.generate import Sampling, generate_completions
from opensloth_core.training.grpo.scoring import Scorer

MAX_PROMPTS = 64
"""Held-out prompts that are answered; answers of hundreds of tokens take as long as training steps."""


class RewardMeasure:
    """What greedy answers are scored by the run's rewards."""

    max_units = MAX_PROMPTS

    def __init__(self, trainer: Any, tokenizer: Any, sampling: Sampling, grpo: GrpoArguments) -> None:
        self._trainer, self._tokenizer = trainer, tokenizer
        self._sampling = replace(sampling, temperature=0.0, max_new_tokens=grpo.max_completion_length)
        self._scorer = Scorer(grpo, tokenizer)
        self._rewards = [choice.name for choice in grpo.reward]
        self.names = (
            "reward",
            "prompts",
            "rewarded",
            *(f"score {name}" for name in self._rewards),
            *(f"scored {name}" for name in self._rewards),
        )

    def sums(self, rows: Rows) -> dict[str, float]:
        prompts = [row["prompt_ids"] for row in rows]
        answers = generate_completions(self._trainer.model, prompts, self._sampling).completion_ids
        scored = self._scorer(
            [json.loads(row["columns"]) for row in rows],
            prompts,
            self._tokenizer.batch_decode(answers, skip_special_tokens=True),
            [len(answer) for answer in answers],
            [answer[-1] in self._sampling.end_ids for answer in answers],
        )
        rewards = [total for total in scored.totals if total is not None]
        sums = {"reward": sum(rewards), "prompts": float(len(rows)), "rewarded": float(len(rewards))}
        for name, values in zip(self._rewards, scored.scores.values(), strict=True):
            known = [value for value in values if value is not None]
            sums |= {f"score {name}": sum(known), f"scored {name}": float(len(known))}
        return sums

    def metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        """A reward that applies to no prompt is left out.

        `frac_no_reward`, where it is not 0, is the share of prompts that none applies to.
        """
        no_reward = 1 - sums["rewarded"] / sums["prompts"]
        own = {
            f"reward/{name}": sums[f"score {name}"] / sums[f"scored {name}"]
            for name in self._rewards
            if sums[f"scored {name}"]
        }
        total = {"reward": sums["reward"] / sums["rewarded"]} if sums["rewarded"] else {}
        return {**total, **own, **({"frac_no_reward": no_reward} if no_reward else {})}
