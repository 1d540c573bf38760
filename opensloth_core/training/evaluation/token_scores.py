"""How well a model predicts given tokens, without ever holding the logits of all of them.

Unsloth's fused loss gives no logits, and (tokens x vocabulary) logits of a whole micro-batch would not
fit. So the decoder runs once and its hidden states are kept; then the causal model's own forward is
called on a few of them at a time, with the decoder answering what it was given. Whatever the
family does between hidden states and logits (scaling, soft-capping) is so done by its own code.

Shapes: R rows, L tokens a row, N predicted tokens, C of them at once, H hidden size, V vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.errors import ModelError

MAX_LOGITS = 1 << 26
"""Logits held at once: 256 MiB in float32, 523 tokens of a vocabulary of 128,256."""


@dataclass(frozen=True)
class TokenScores:
    """What a model makes of N tokens, each given those before it in its row; all of shape (N,)."""

    log_probs: torch.Tensor
    """Natural logarithm of the probability of the token; float32."""

    is_top: torch.Tensor
    """Whether no other token is more probable."""

    row: torch.Tensor
    """The row of the batch that the token is in."""


def token_scores(
    model: Any, inputs: Mapping[str, torch.Tensor], labels_RL: torch.Tensor, max_logits: int = MAX_LOGITS
) -> TokenScores:
    """Scores of the tokens that have a label.

    Args:
        model: a causal language model, with or without an adapter, not wrapped for training.
        inputs: what its forward takes, without labels; the same rows as `labels_RL`.
        labels_RL: the tokens, `IGNORE_INDEX` where none is scored; the first of a row never is.
        max_logits: bound on C * V.

    Raises:
        ModelError: the model's class is not built as decoder and head.
    """
    targets_RL = labels_RL[:, 1:]
    is_scored_RL = targets_RL != IGNORE_INDEX
    row, _ = is_scored_RL.nonzero(as_tuple=True)
    targets_N = targets_RL[is_scored_RL]
    decoder = _decoder(model)
    output = _decoder_output(model, decoder, inputs)
    hidden_NH = _first(output)[:, :-1][is_scored_RL]
    size = max(1, max_logits // model.config.get_text_config().vocab_size)
    log_probs, is_top = [], []
    for hidden_CH, targets_C in zip(hidden_NH.split(size), targets_N.split(size), strict=True):
        if not len(targets_C):
            continue
        logits_CV = _logits(model, decoder, output, hidden_CH).float()
        log_probs.append(-torch.nn.functional.cross_entropy(logits_CV, targets_C, reduction="none"))
        is_top.append(logits_CV.argmax(dim=-1) == targets_C)
        del logits_CV
    nothing = torch.zeros(0, device=labels_RL.device)
    return TokenScores(
        torch.cat(log_probs) if log_probs else nothing, torch.cat(is_top) if is_top else nothing.bool(), row
    )


def _decoder(model: Any) -> Any:
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder = causal.base_model
    if decoder is causal or causal.get_output_embeddings() is None:
        raise ModelError(
            f"{type(causal).__name__}: cannot be evaluated, since its decoder and its head are not apart; "
            "prepare the data without eval_size"
        )
    return decoder


def _decoder_output(model: Any, decoder: Any, inputs: Mapping[str, torch.Tensor]) -> Any:
    """What the decoder gives to the head; the model runs whole, since its forward prepares the masks."""
    seen: list[Any] = []
    forward = decoder.forward

    def remember(*args: Any, **kwargs: Any) -> Any:
        seen.append(forward(*args, **kwargs))
        return seen[-1]

    with _forward_of(decoder, remember):
        # With a cache, transformers takes packed examples for one.
        model(**inputs, use_cache=False, logits_to_keep=1)
    assert len(seen) == 1, f"the decoder ran {len(seen)} times"
    return seen[0]


def _logits(model: Any, decoder: Any, output: Any, hidden_CH: torch.Tensor) -> torch.Tensor:
    """The model's logits for some hidden states of its decoder, shape (C, V)."""
    hidden = hidden_CH[None]
    answer = (hidden,) if isinstance(output, tuple) else type(output)(last_hidden_state=hidden)
    token_ids = torch.zeros(hidden.shape[:2], dtype=torch.int64, device=hidden.device)
    with _forward_of(decoder, lambda *_, **__: answer):
        logits: torch.Tensor = model(input_ids=token_ids, use_cache=False).logits[0]
    return logits


def _first(output: Any) -> torch.Tensor:
    hidden: torch.Tensor = output[0]
    return hidden


@contextmanager
def _forward_of(module: Any, forward: Callable[..., Any]) -> Iterator[None]:
    """Have `module` run another forward."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
