"""Tokens as text, one by one.

A token of a byte-level vocabulary is bytes, and a character may be spread over several tokens. Such a
character is shown at its last token; the tokens before it show their bytes: `⟨f0 9f⟩`, `⟨98⟩`, `😀`.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from opensloth_core.data.load_tokenizer import load_tokenizer
from opensloth_core.data.tokenize import tokenizer_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_PIECE_SPACE = "\u2581"


class TokenPieces:
    """The texts of a tokenizer's tokens.

    Args:
        tokenizer: the Rust part of it.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._literal = {number: token.content.encode() for number, token in added.items()}
        self._special = {number for number, token in added.items() if token.special}
        self._bytes_of = self._bytes_function()

    @classmethod
    def of_model(cls, model_dir: Path) -> "TokenPieces":
        """Those of the tokenizer in a model's folder.

        Raises:
            ModelError: it has none that can be read.
        """
        from tokenizers import Tokenizer

        path = model_dir / "tokenizer.json"
        if path.is_file():
            return cls(Tokenizer.from_file(str(path)))
        return cls(Tokenizer.from_str(tokenizer_json(load_tokenizer(model_dir))))

    def is_special(self, token: int) -> bool:
        """Whether the tokenizer calls a token special, such as the end of a turn."""
        return token in self._special

    def texts(self, tokens: Sequence[int]) -> Iterator[str]:
        """The text of each token of a run; all of them together are the run's text, and hex bytes."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for token in tokens:
            data = self._literal.get(token)
            data = self._bytes_of(token) if data is None else data
            text = decoder.decode(data)
            pending, _ = decoder.getstate()
            # What is pending are the last bytes of this token, or all of it.
            yield text + (f"⟨{pending[-len(data) :].hex(' ')}⟩" if pending and data else "")

    def _bytes_function(self) -> Callable[[int], bytes]:
        decoder = self._tokenizer.decoder
        kinds = set(_decoder_kinds(json.loads(decoder.__getstate__()))) if decoder else set()
        if "ByteLevel" in kinds:
            return self._from_byte_level
        if kinds & {"ByteFallback", "Metaspace"}:
            return self._from_sentencepiece
        return lambda token: self._tokenizer.decode([token], skip_special_tokens=False).encode()

    def _from_byte_level(self, token: int) -> bytes:
        piece = self._tokenizer.id_to_token(token)
        if piece is None:
            return _unknown(token)
        byte_of = _byte_of_character()
        return b"".join(bytes([byte_of[c]]) if c in byte_of else c.encode() for c in piece)

    def _from_sentencepiece(self, token: int) -> bytes:
        piece = self._tokenizer.id_to_token(token)
        if piece is None:
            return _unknown(token)
        if match := _BYTE_TOKEN.fullmatch(piece):
            return bytes.fromhex(match[1])
        return piece.replace(_PIECE_SPACE, " ").encode()


def _unknown(token: int) -> bytes:
    return f"⟨token {token}⟩".encode()


def _decoder_kinds(decoder: dict[str, object]) -> Iterator[object]:
    yield decoder["type"]
    inner = decoder.get("decoders", [])
    assert isinstance(inner, list)
    for one in inner:
        yield from _decoder_kinds(one)


@cache
def _byte_of_character() -> dict[str, int]:
    """The byte each character of a byte-level vocabulary stands for.

    Source: https://github.com/openai/gpt-2/blob/9b63575ef42771a015060c964af2c3da4cf7c8ab/src/encoder.py,
    `bytes_to_unicode`.
    """
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {
        **{chr(byte): byte for byte in printable},
        **{chr(256 + place): byte for place, byte in enumerate(others)},
    }
