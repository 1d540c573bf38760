"""Advantages and the loss of GRPO.

With the completions i of a step, |o_i| tokens each, all ranks and micro-batches together:

    A_i = (r_i - mean(r of i's group)) / (std(r of i's group) + 1e-4)
    loss = - 1 / sum_i |o_i| * sum_i sum_t (ratio_it * A_i - beta * ratio_it * KL_it)
    KL_it = ref_it / policy_it - log(ref_it / policy_it) - 1

where ratio_it = policy_it / stop_gradient(policy_it): every step learns from its own samples once, so the
ratio is 1, is never clipped, and only carries the gradient.

Source: the objective is arXiv:2402.03300, eq. 3 and 4; one mean over the tokens of the step in place of a
mean over completions of means over tokens is DAPO's, arXiv:2503.14476, eq. 8; the ratio before KL, which
makes its gradient that of the reverse KL, is DeepSeek-V3.2's, arXiv:2512.02556. All are TRL 1.15's defaults.

Shapes: B completions of a micro-batch, T tokens of the longest prompt with its completion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from opensloth_core.data.units import IGNORE_INDEX

MIN_STD = 1e-4
"""Added to a group's standard deviation, which may be tiny."""

MAX_SAMPLER_RATIO = 2.0
"""Most that a token counts for the sampler having thought it less likely than the policy does."""


@dataclass(frozen=True)
class CompletionBatch:
    """A micro-batch of completions behind their prompts, padded on the right.

    On the right, since Unsloth's training forward drops the mask there: later tokens are never seen.
    """

    input_ids_BT: torch.Tensor
    attention_mask_BT: torch.Tensor
    labels_BT: torch.Tensor
    """The completions' tokens; `IGNORE_INDEX` elsewhere."""

    advantages_B: torch.Tensor
    is_rewarded_B: torch.Tensor
    """Whether a completion counts at all."""

    sampler_log_probs_BT: torch.Tensor | None
    """What the sampler gave the labels, where it is another program; 0 elsewhere."""

    @property
    def mask_BT(self) -> torch.Tensor:
        """1 where the next token is that of a completion that counts, shape (B, T - 1)."""
        return ((self.labels_BT[:, 1:] != IGNORE_INDEX) & self.is_rewarded_B[:, None]).float()


def group_advantages(rewards: Sequence[float | None], num_generations: int) -> list[float | None]:
    """How much better than its group each completion is, in standard deviations; 0 in a group of equals.

    `None`, as its reward is, for a completion that no reward applies to; the others are the group.

    Args:
        rewards: those of a group are next to one another.
        num_generations: completions in a group.
    """
    advantages: list[float | None] = []
    for start in range(0, len(rewards), num_generations):
        group = rewards[start : start + num_generations]
        known = iter(_advantages([reward for reward in group if reward is not None]))
        advantages += [None if reward is None else next(known) for reward in group]
    return advantages


def _advantages(rewards: list[float]) -> list[float]:
    if len(set(rewards)) <= 1:
        return [0.0] * len(rewards)
    rewards_G = torch.tensor(rewards, dtype=torch.float64)
    advantages: list[float] = ((rewards_G - rewards_G.mean()) / (rewards_G.std() + MIN_STD)).tolist()
    return advantages


def completion_batch(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    advantages: Sequence[float | None],
    sampler_log_probs: Sequence[Sequence[float]] | None,
    device: Any,
) -> CompletionBatch:
    """Completions as tensors; see `CompletionBatch`."""
    pairs = list(zip(prompts, completions, strict=True))
    rows = [torch.tensor([*prompt, *completion]) for prompt, completion in pairs]
    labels = [torch.tensor([IGNORE_INDEX] * len(prompt) + list(completion)) for prompt, completion in pairs]
    sampled = None
    if sampler_log_probs is not None:
        given = [
            torch.tensor([0.0] * len(prompt) + list(values))
            for prompt, values in zip(prompts, sampler_log_probs, strict=True)
        ]
        sampled = pad_sequence(given, batch_first=True).to(device)
    return CompletionBatch(
        input_ids_BT=pad_sequence(rows, batch_first=True).to(device),
        attention_mask_BT=pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).to(device),
        labels_BT=pad_sequence(labels, batch_first=True, padding_value=IGNORE_INDEX).to(device),
        advantages_B=torch.tensor([a or 0.0 for a in advantages], dtype=torch.float32, device=device),
        is_rewarded_B=torch.tensor([a is not None for a in advantages], device=device),
        sampler_log_probs_BT=sampled,
    )


def score_tokens(model: Any, batch: CompletionBatch) -> Any:
    """`log_probs` and `entropy` of the policy at the sampling temperature, (B, T - 1), 0 where masked.

    TRL has put its head into the model, which never makes the logits of all tokens at once.
    """
    return model(
        input_ids=batch.input_ids_BT,
        attention_mask=batch.attention_mask_BT,
        labels=batch.labels_BT,
        fused_lm_head=True,
    )


def summed_loss(
    log_probs_BT: torch.Tensor,
    batch: CompletionBatch,
    reference_BT: torch.Tensor | None,
    kl_beta: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of a micro-batch summed over its tokens, and its KL likewise (0 without a reference)."""
    mask_BT = batch.mask_BT
    ratio_BT = torch.exp(log_probs_BT - log_probs_BT.detach())
    gain_BT = ratio_BT * batch.advantages_B[:, None]
    if batch.sampler_log_probs_BT is not None:
        # Truncated importance sampling, since the tokens come from another program's arithmetic.
        apart_BT = log_probs_BT.detach() - batch.sampler_log_probs_BT[:, 1:]
        gain_BT = gain_BT * torch.exp(apart_BT).clamp(max=MAX_SAMPLER_RATIO)
    if reference_BT is None:
        return -(gain_BT * mask_BT).sum(), log_probs_BT.new_zeros(())
    apart_BT = reference_BT - log_probs_BT
    kl_BT = torch.exp(apart_BT) - apart_BT - 1
    loss = -((gain_BT - kl_beta * ratio_BT * kl_BT) * mask_BT).sum()
    return loss, (kl_BT * mask_BT).sum().detach()
