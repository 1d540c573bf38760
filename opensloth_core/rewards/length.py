"""The reward `length`: completions that end before the limit."""

from opensloth_core.rewards.completions import Completions

SOFT_SHARE = 0.2
"""Share of the limit over which the reward falls; 4,096 of 20,480 tokens in the paper."""


def score_length(completions: Completions) -> list[float | None]:
    """1.0 for a finished completion, falling to 0.0 over the last fifth before the limit.

    With n tokens, L_max = max_tokens and L_cache = L_max / 5:

        1                  if finished and n <= L_max - L_cache
        (L_max - n) / L_cache   if finished and L_max - L_cache < n <= L_max
        0                  if not finished

    Source: DAPO, arXiv:2503.14476, eq. 13 (soft overlong punishment), plus 1: there the values run
    from 0 to -1.
    """
    soft = SOFT_SHARE * completions.max_tokens
    return [
        min(1.0, max(0.0, (completions.max_tokens - num_tokens) / soft)) if is_finished else 0.0
        for num_tokens, is_finished in zip(completions.num_tokens, completions.is_finished, strict=True)
    ]
