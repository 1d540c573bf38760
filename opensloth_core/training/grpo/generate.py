"""Samples completions of prompts with the model that is trained.

Shapes: N prompts (one that is completed several times is given several times), L tokens of the longest.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Sampling:
    """How completions are sampled."""

    max_new_tokens: int
    """Longest completion."""

    temperature: float
    """What logits are divided by; 0 takes the likeliest token always."""

    top_p: float
    """Share of the probability mass that is sampled from."""

    end_ids: tuple[int, ...]
    """Tokens that end a completion."""

    pad_id: int
    """Token of padding."""


@dataclass(frozen=True)
class Generated:
    """Completions as tokens, with the end token where it was reached."""

    completion_ids: list[list[int]]

    log_probs: list[list[float]] | None = None
    """What the sampler gave each token, where it is another program than the model that is trained."""


def generate_completions(model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> Generated:
    """Completions of some prompts, in their order.

    Draws from torch's global random numbers. The model comes back in the mode it was in.
    """
    from transformers import GenerationConfig

    length = max(len(prompt) for prompt in prompts)
    input_ids_NL = torch.full((len(prompts), length), sampling.pad_id)
    attention_mask_NL = torch.zeros_like(input_ids_NL)
    for row, prompt in enumerate(prompts):
        # On the left, so that every completion begins in the same column.
        input_ids_NL[row, length - len(prompt) :] = torch.tensor(prompt)
        attention_mask_NL[row, length - len(prompt) :] = 1
    greedy = sampling.temperature == 0
    settings = GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        do_sample=not greedy,
        temperature=None if greedy else sampling.temperature,
        top_p=None if greedy else sampling.top_p,
        top_k=None if greedy else 0,
        use_cache=True,
        eos_token_id=list(sampling.end_ids),
        pad_token_id=sampling.pad_id,
        disable_compile=True,
    )
    with generating(model), _only(settings, model), _replaying(model):
        output_NL = model.generate(
            input_ids=input_ids_NL.to(model.device),
            attention_mask=attention_mask_NL.to(model.device),
            generation_config=settings,
        )
    return Generated([_until_end(row, sampling.end_ids) for row in output_NL[:, length:].tolist()])


def _until_end(tokens: list[int], ends: Sequence[int]) -> list[int]:
    for position, token in enumerate(tokens):
        if token in ends:
            return tokens[: position + 1]
    return tokens


@contextmanager
def _only(settings: Any, model: Any) -> Iterator[None]:
    """Within, the model has no settings of its own, which fill up what others leave open (min_p, …)."""
    owner = model.get_base_model() if hasattr(model, "get_base_model") else model
    own, owner.generation_config = owner.generation_config, settings
    try:
        yield
    finally:
        owner.generation_config = own


@contextmanager
def _replaying(model: Any) -> Iterator[None]:
    """Within, Unsloth replays the launches of a token as CUDA graphs, which compute the same bits.

    It does so by itself where its own trainers sample, since a token of a batch is hundreds of short
    launches. The graphs and the cache of keys and values are gone at the end: training needs their memory,
    and the next step's weights make them void.
    """
    if model.device.type != "cuda" or not hasattr(model, "for_inference"):
        yield
        return
    from unsloth.models import _decode_graphs

    try:
        with _decode_graphs.rl_generation():
            yield
    finally:
        _decode_graphs.release_for_training(model)


@contextmanager
def generating(model: Any) -> Iterator[None]:
    """Within, the model is ready to generate (Unsloth's fast mode where it has one); then as it was."""
    modes = [(m, m.training, getattr(m, "gradient_checkpointing", None)) for m in model.modules()]
    use_cache, was_training = getattr(model.config, "use_cache", None), model.training
    model.for_inference() if hasattr(model, "for_inference") else model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if was_training:
            # Unsloth marks the model for its fast decoding, which this takes back.
            model.for_training() if hasattr(model, "for_training") else model.train()
        # The mode of gradient checkpointing is more than on and off with Unsloth.
        for module, training, checkpointing in modes:
            module.training = training
            if checkpointing is not None:
                module.gradient_checkpointing = checkpointing
        if use_cache is not None:
            model.config.use_cache = use_cache
