"""Byte-level BPE of ASCII text with each word's tokens remembered: several times the tokenizer's own speed.

A byte-level tokenizer cuts text at its added tokens, then into words by a regular expression, and merges
bytes within each word alone. So a word always has the same tokens, and a text has those of its words:

    <|im_start|>user⏎Hi there      <|im_start|> | user ⏎ Hi ␣there      1 + tokens(user) + tokens(⏎) + …

Only where that is known to hold: the pre-tokenizer must be one of the kinds below, its expression is put
into Python's terms for ASCII characters and some common signs (Unicode's classes differ between engines
and versions), and text with other characters is left to the tokenizer. Words that are not remembered are
encoded by it as well.
`TextEncoder` compares some texts of every chunk with what the tokenizer itself makes of them.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SIGNS = "\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u2022\u00b7\u00b0\u20ac\u00a3\u00d7\u00f7\u2192"
"""Curly quotes, dashes, dots, and signs such as the euro's: neither letters nor digits nor space in any
version of Unicode, and the same in its forms NFC and NFD."""

_MAX_WORDS = 200_000
_MAX_SEGMENTS = 2_000
_MAX_ADDED = 2_000
"""Beyond that many added tokens Python would search for them one by one too slowly."""

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Source: https://github.com/openai/gpt-2/blob/9b63575ef42771a015060c964af2c3da4cf7c8ab/src/encoder.py#L53"""

_GPT2_WITHOUT_DIGITS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?![^\s\p{N}])|\s+"
"""As above, where each digit has been cut out before."""


class WordEncoder:
    """Encodes texts of one tokenizer; made by `WordEncoder.of`."""

    def __init__(self, backend: "Tokenizer", words: re.Pattern[str], added: dict[str, int]) -> None:
        self._find_words = words.findall
        self._added = added
        longest_first = sorted(added, key=lambda token: -len(token))
        # Without added tokens nothing is to be found.
        self._split = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})").split
        self._tokens_of = _Words(backend)
        self._segments: dict[str, list[int]] = {}

    @classmethod
    def of(cls, backend: "Tokenizer") -> Self | None:
        """An encoder for a tokenizer; None where its words are not known to be independent."""
        definition = json.loads(backend.to_str())
        source = _words_source(definition["pre_tokenizer"] or {})
        words = _ascii_pattern(source) if source else None
        if words is None or not _leaves_known_characters_alone(definition["normalizer"]):
            return None
        model, added = definition["model"], definition["added_tokens"]
        if model["type"] != "BPE" or any(
            model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
        ):
            return None
        if len(added) > _MAX_ADDED or any(
            token[flag] for token in added for flag in ("single_word", "lstrip", "rstrip")
        ):
            return None
        return cls(backend, words, {token["content"]: token["id"] for token in added})

    def encode(self, text: str, borders: Sequence[int]) -> tuple[list[int], list[int]] | None:
        """Token ids of a text, and how many tokens lie before each border.

        Args:
            borders: characters of the text, ascending.

        Returns:
            None where the text has unknown characters, or a border lies inside of a word.
        """
        if not text.isascii() and _UNKNOWN.search(text):
            return None
        ids: list[int] = []
        before: list[int] = []
        at = 0
        for number, part in enumerate(self._split(text)):
            end = at + len(part)
            inside = [border for border in borders[len(before) :] if border < end]
            if number % 2 or not inside:
                before += [len(ids)] * len(inside)
                if any(border != at for border in inside):
                    return None
                ids += (self._added[part],) if number % 2 else self._segment(part)
            elif not self._cut(part, [border - at for border in inside], ids, before):
                return None
            at = end
        return ids, before + [len(ids)] * (len(borders) - len(before))

    def _segment(self, part: str) -> list[int]:
        """Tokens between added tokens; a system prompt, for one, comes again and again."""
        ids = self._segments.get(part)
        if ids is None:
            ids = list(chain.from_iterable(map(self._tokens_of.__getitem__, self._find_words(part))))
            if len(self._segments) >= _MAX_SEGMENTS:
                self._segments.clear()
            self._segments[part] = ids
        return ids

    def _cut(self, part: str, borders: Sequence[int], ids: list[int], before: list[int]) -> bool:
        """Add the tokens of a segment that borders lie in; False where one lies inside of a word."""
        words = self._find_words(part)
        ends = list(accumulate(map(len, words)))
        done = 0
        for border in borders:
            upto = bisect_left(ends, border) + 1 if border else 0
            if border and ends[upto - 1] != border:
                return False
            ids += chain.from_iterable(map(self._tokens_of.__getitem__, words[done:upto]))
            before.append(len(ids))
            done = upto
        ids += chain.from_iterable(map(self._tokens_of.__getitem__, words[done:]))
        return True


class _Words(dict[str, tuple[int, ...]]):
    """Tokens by word; those that are asked for first are encoded."""

    def __init__(self, backend: "Tokenizer") -> None:
        super().__init__()
        self._backend = backend

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(self) >= _MAX_WORDS:
            self.clear()
        tokens = self[word] = tuple(self._backend.encode(word, add_special_tokens=False).ids)
        return tokens


def _words_source(pre_tokenizer: dict[str, Any]) -> str | None:
    """The expression that finds words, of a pre-tokenizer of a known kind."""
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    if not steps or steps[-1].get("type") != "ByteLevel" or steps[-1]["add_prefix_space"]:
        return None
    has_own = steps[-1].get("use_regex", True)
    match steps[:-1]:
        case [] if has_own:
            return _GPT2
        case [{"type": "Digits", "individual_digits": True}] if has_own:
            return _GPT2_WITHOUT_DIGITS
        case [{"type": "Split", "pattern": {"Regex": source}, "behavior": "Isolated", "invert": False}]:
            return None if has_own else str(source)
    return None


def _leaves_known_characters_alone(normalizer: dict[str, Any] | None) -> bool:
    if normalizer is None:
        return True
    steps = normalizer.get("normalizers", [normalizer])
    return all(step["type"] in ("NFC", "NFD") for step in steps)


_UNKNOWN = re.compile(f"[^\0-\x7f{_SIGNS}]")

_SPACE = r"\s"
_CLASSES = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9", _SPACE: r" \t-\r"}
_PARTS = re.compile(r"\\p\{\w+\}|\\.|\[\^?|\]|[^\\\[\]]")


def _ascii_pattern(source: str) -> re.Pattern[str] | None:
    """An expression of the tokenizer's engine in Python's terms, for ASCII; None where it may differ."""
    translated, in_class = [], False
    for part in _PARTS.findall(source):
        if part in _CLASSES:
            translated.append(_CLASSES[part] if in_class else f"[{_CLASSES[part]}]")
        elif part == r"\S" and not in_class:
            translated.append(f"[^{_CLASSES[_SPACE]}]")
        elif part in (r"\r", r"\n", r"\t") or len(part) == 1 or part == "[^":
            if in_class and part in ("[", "[^"):
                return None
            in_class = (in_class or part in ("[", "[^")) and part != "]"
            translated.append(part)
        else:
            return None
    try:
        # Repeated counts followed by + mean different things to the two engines.
        return None if re.search(r"\d,?\}\+", source) else re.compile("".join(translated))
    except re.error:
        return None
