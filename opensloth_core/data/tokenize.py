"""Texts as tokens, and characters to train as tokens to train.

Array names end in their shape: R rows of a chunk, T tokens of all of them, one after another.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from opensloth_core.data.render.rendered import Span
from opensloth_core.data.word_encoder import WordEncoder
from opensloth_core.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerBase

_CHECK_EVERY = 64
"""Of so many texts the tokenizer encodes one that was encoded by words, to compare."""

IntArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]


def tokenizer_json(tokenizer: "PreTrainedTokenizerBase") -> str:
    """The Rust part of a tokenizer as text.

    Raises:
        ModelError: the tokenizer is written in Python only, so it gives no offsets.
    """
    from tokenizers import Tokenizer

    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError(
            f"{tokenizer.name_or_path}: its {type(tokenizer).__name__} has no tokenizer.json; "
            "masks need to know which characters a token covers, so convert it to a fast tokenizer"
        )
    return str(backend.to_str())


class TextEncoder:
    """The Rust part of a tokenizer, working on rendered text.

    It is a copy without truncation, padding and post-processing: special tokens are in the text
    already (no second BOS), and post-processors trim whitespace off the offsets.

    Args:
        tokenizer_json: the tokenizer, as `tokenizer_json` gives it.
    """

    def __init__(self, tokenizer_json: str) -> None:
        from tokenizers import Tokenizer

        self._backend = Tokenizer.from_str(tokenizer_json)
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.post_processor = None

        self._words = WordEncoder.of(self._backend)

    def encode(self, texts: Sequence[str]) -> "list[Encoding]":
        """One encoding a text, all in one call."""
        return self._backend.encode_batch(list(texts), add_special_tokens=False)

    def encode_trained(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> list[tuple[IntArray, BoolArray]]:
        """Token ids of each text, and which of them are trained; see `trained_tokens`."""
        found = [self._by_words(text, of_text) for text, of_text in zip(texts, spans, strict=True)]
        rest = [i for i, one in enumerate(found) if one is None or not i % _CHECK_EVERY]
        for i, encoding in zip(rest, self.encode([texts[i] for i in rest]), strict=True):
            ids_T = np.array(encoding.ids, dtype=np.int32)
            result = ids_T, trained_tokens(encoding, spans[i], len(texts[i]))
            fast = found[i]
            if fast and not all(np.array_equal(*pair) for pair in zip(fast, result, strict=True)):
                # The words of this tokenizer are not what we take them for: never use them again.
                self._words = None
                return self.encode_trained(texts, spans)
            found[i] = result
        return [one for one in found if one is not None]

    def _by_words(self, text: str, spans: Sequence[Span]) -> tuple[IntArray, BoolArray] | None:
        if self._words is None:
            return None
        borders = sorted({border for span in spans for border in span})
        encoded = self._words.encode(text, borders)
        if encoded is None:
            return None
        ids, before = encoded
        token_at = dict(zip(borders, before, strict=True))
        trained_T = np.zeros(len(ids), dtype=np.bool_)
        for start, end in spans:
            trained_T[token_at[start] : token_at[end]] = True
        trained_T[:1] = False
        return np.array(ids, dtype=np.int32), trained_T


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


def tokens_before(encoding: "Encoding", end: int) -> int:
    """How many of a text's first tokens lie in its first `end` characters."""
    token = encoding.char_to_token(end) if end else 0
    if token is None:
        return sum(stop <= end for _, stop in encoding.offsets)
    chars = encoding.token_to_chars(token)
    # One that begins before the border, or several of one character there.
    while token > 0 and chars and chars[0] < end:
        token -= 1
        chars = encoding.token_to_chars(token)
        if chars and chars[1] <= end:
            return token + 1
    return token


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
