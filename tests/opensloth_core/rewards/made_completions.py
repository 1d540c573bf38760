"""Completions from their texts alone."""

from collections.abc import Sequence
from typing import Any

from opensloth_core.rewards.completions import Completions


def completions_of(
    texts: Sequence[str],
    *,
    num_tokens: Sequence[int] | None = None,
    is_finished: Sequence[bool] | None = None,
    is_thinking: Sequence[bool] | None = None,
    max_tokens: int = 100,
    prompts: Sequence[list[dict[str, Any]]] | None = None,
    **columns: list[Any],
) -> Completions:
    n = len(texts)
    return Completions(
        texts=list(texts),
        prompts=list(prompts or [[{"role": "user", "content": "How many?"}]] * n),
        columns=columns,
        num_tokens=list(num_tokens or [10] * n),
        is_finished=list(is_finished or [True] * n),
        is_thinking=list(is_thinking or [False] * n),
        max_tokens=max_tokens,
    )
