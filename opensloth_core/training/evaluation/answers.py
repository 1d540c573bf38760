"""What the model answers to a few prompts, for a person to read."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from opensloth_core.training.evaluation.samples import Sample
from opensloth_core.training.evaluation.undisturbed import undisturbed
from opensloth_core.training.grpo.end_tokens import end_ids
from opensloth_core.training.grpo.generate import Sampling, generate_completions

MAX_NEW_TOKENS = 256
MIN_NEW_TOKENS = 64
"""How long an answer may be at least; else twice as long as the data's longest, since more says nothing."""

BATCH_SIZE = 8
"""Prompts that are answered at once; a token for all costs about as long as one for one."""

MAX_SECONDS = 120.0
"""After which no further batch is begun: the other ranks wait meanwhile, and give up after ten minutes."""


def greedy_sampling(model: Any, tokenizer: Any, samples: Sequence[Sample] = ()) -> Sampling:
    """How answers are generated: the likeliest token always, up to an end token.

    End tokens are the tokenizer's, the model's, and what the references end with where that is a special
    token, such as the end of a turn in templates whose end of text is another.
    """
    own = getattr(tokenizer, "tokenizer", tokenizer)  # that of a processor for images too
    ends = {sample.reference_ids[-1] for sample in samples if sample.reference_ids}
    special = {token for token, added in own.added_tokens_decoder.items() if added.special}
    all_ends = {*end_ids(model, own), *(ends & special)}
    pad = own.pad_token_id if own.pad_token_id is not None else min(all_ends)
    return Sampling(MAX_NEW_TOKENS, 0.0, 1.0, tuple(sorted(all_ends)), int(pad))


def answers(model: Any, tokenizer: Any, samples: Sequence[Sample]) -> list[dict[str, str]]:
    """`prompt`, `completion` and `reference` of each sample as text; of fewer when time runs out.

    The prompt keeps its special tokens, since they say who speaks. Nothing of the training changes.
    """
    began, found = time.perf_counter(), []
    sampling = greedy_sampling(model, tokenizer, samples)
    with undisturbed(model):
        for start in range(0, len(samples), BATCH_SIZE):
            if time.perf_counter() - began > MAX_SECONDS:
                break
            batch = samples[start : start + BATCH_SIZE]
            prompts = [sample.prompt_ids for sample in batch]
            limit = min(_limit(batch), _room(model, max(map(len, prompts))))
            fitting = replace(sampling, max_new_tokens=limit)
            completions = generate_completions(model, prompts, fitting).completion_ids
            found += [
                {
                    "prompt": tokenizer.decode(sample.prompt_ids),
                    "completion": _plain(tokenizer, completion),
                    "reference": _reference(tokenizer, sample),
                }
                for sample, completion in zip(batch, completions, strict=True)
            ]
    return found


def _limit(batch: Sequence[Sample]) -> int:
    """How many tokens the answers may have, by those in the data."""
    longest = max(len(sample.reference_ids) for sample in batch)
    return min(MAX_NEW_TOKENS, max(MIN_NEW_TOKENS, 2 * longest)) if longest else MAX_NEW_TOKENS


def _room(model: Any, num_prompt_tokens: int) -> int:
    """How many tokens an answer may have by the model's positions."""
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return MAX_NEW_TOKENS if longest is None else max(1, longest - num_prompt_tokens)


def _reference(tokenizer: Any, sample: Sample) -> str:
    return _plain(tokenizer, sample.reference_ids) if sample.reference is None else sample.reference


def _plain(tokenizer: Any, tokens: Sequence[int]) -> str:
    return str(tokenizer.decode(tokens, skip_special_tokens=True)).strip()
