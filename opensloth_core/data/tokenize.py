"""Texts as tokens, and characters to train as tokens to train.

Array names end in their shape: R rows of a chunk, T tokens of all of them, one after another.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opensloth_core.data.render.template import Span
from opensloth_core.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerBase

IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


class TextEncoder:
    """The Rust part of a tokenizer, working on rendered text.

    It is a copy without truncation, padding and post-processing: special tokens are in the text
    already (no second BOS), and post-processors trim whitespace off the offsets.

    Raises:
        ModelError: the tokenizer is written in Python only, so it gives no offsets.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        from tokenizers import Tokenizer

        backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise ModelError(
                f"{tokenizer.name_or_path}: its {type(tokenizer).__name__} has no tokenizer.json; "
                "masks need to know which characters a token covers, so convert it to a fast tokenizer"
            )
        self._backend = Tokenizer.from_str(backend.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.post_processor = None

    def encode(self, texts: Sequence[str]) -> "list[Encoding]":
        """One encoding a text, all in one call."""
        return self._backend.encode_batch(list(texts), add_special_tokens=False)


def trained_tokens(encoding: "Encoding", spans: Sequence[Span], num_chars: int) -> BoolArray:
    """Which tokens of a text with `num_chars` characters are trained, shape [num tokens].

    A token is trained when all of its characters lie in one span. One that straddles a border
    is not: at generation the header is there as its own tokens, so the model never emits it.
    The first token is never trained, since nothing before it predicts it.
    """
    trained_T = np.zeros(len(encoding.ids), dtype=np.bool_)
    for start, end in spans:
        first, stop = _token_range(encoding, start, end, num_chars)
        trained_T[first:stop] = True
    trained_T[:1] = False
    return trained_T


def _token_range(encoding: "Encoding", start: int, end: int, num_chars: int) -> tuple[int, int]:
    """Tokens `[first, stop)` that lie in the characters `[start, end)`."""
    first = encoding.char_to_token(start)
    stop = len(encoding.ids) if end == num_chars else encoding.char_to_token(end)
    if first is None or stop is None:
        return _token_range_by_offsets(encoding, start, end)
    # A token that begins before the span; several, where a normaliser merged characters.
    while first < stop and (chars := encoding.token_to_chars(first)) and chars[0] < start:
        first += 1
    return first, stop


def _token_range_by_offsets(encoding: "Encoding", start: int, end: int) -> tuple[int, int]:
    """As `_token_range`, where a border's character belongs to no token (a normaliser dropped it)."""
    inside = [index for index, (a, b) in enumerate(encoding.offsets) if start <= a and b <= end and a < b]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)
