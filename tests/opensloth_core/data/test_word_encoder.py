"""What is encoded by words is what the tokenizer makes of the whole text, or nothing."""

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from opensloth_core.data.tokenize import TextEncoder
from opensloth_core.data.word_encoder import WordEncoder

# Of meta-llama/Llama-3.1-8B and Qwen/Qwen2.5-7B, from their tokenizer.json.
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")

KINDS: dict[str, list[Any]] = {
    "gpt2": [],
    "smollm2": [pre_tokenizers.Digits(individual_digits=True)],
    "llama3": [pre_tokenizers.Split(Regex(LLAMA_3), "isolated")],
    "qwen2": [pre_tokenizers.Split(Regex(QWEN_2), "isolated")],
}
TEXTS = [
    "It's 12 o'clock; WE'LL see 2024-07-26.\n\n  def f(x):\n\treturn x  # done\r\n",
    "don't I'm x=3.14 " * 3,
]


@cache
def backend(kind: str) -> Tokenizer:
    own = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("gpt2", "smollm2"))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*KINDS[kind], own]) if KINDS[kind] else own
    tokenizer.normalizer = normalizers.NFC() if kind == "qwen2" else None
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|im_start|>", "<|im_end|>", "<|im_end|>\n"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


PIECES = [
    *"aZ09 \t\n\r\v\f\x00\x1c'\"._-#é世",
    "'s",
    "'LL",
    "  ",
    "\r\n",
    "12345",
    "<|im_end|>",
    "<|im_end|>\n",
]
PIECES += ["“", "’", "—", "…", "€", "word", "Word", "<|im_start|>", "<|im_start", "²", "\u00a0", "\u2028"]  # noqa: RUF001


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.data())
def test_the_tokens_and_borders_are_the_tokenizer_s(kind: str, text: str, data: st.DataObject) -> None:
    words = WordEncoder.of(backend(kind))
    assert words is not None
    borders = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    whole = backend(kind).encode(text, add_special_tokens=False)
    encoded = words.encode(text, borders)
    if encoded is None:
        return
    ids, before = encoded
    assert ids == whole.ids
    # Control characters and spaces included, every character belongs to a token.
    assert before == [sum(end <= border for _, end in whole.offsets) for border in borders]


@pytest.mark.parametrize("kind", KINDS)
def test_plain_text_and_common_signs_are_encoded_by_words(kind: str) -> None:
    words = WordEncoder.of(backend(kind))
    assert words is not None
    for text in [*TEXTS, "<|im_start|>user\nIt’s — well… 5 € <|im_end|>\n", ""]:  # noqa: RUF001
        encoded = words.encode(text, [0, len(text)])
        assert encoded is not None
        assert encoded[1] == [0, len(encoded[0])]


def test_other_characters_and_borders_inside_words_are_left_to_the_tokenizer() -> None:
    words = WordEncoder.of(backend("gpt2"))
    assert words is not None
    assert words.encode("naïve", []) is None
    assert words.encode("x²", []) is None
    assert words.encode("hello", [2]) is None
    assert words.encode("<|im_end|>", [3]) is None


def changed(kind: str, **changes: Any) -> Tokenizer:
    definition = json.loads(backend(kind).to_str())
    definition.update(changes)
    return Tokenizer.from_str(json.dumps(definition))


def test_tokenizers_whose_words_may_depend_on_each_other_have_no_encoder() -> None:
    assert WordEncoder.of(changed("gpt2", pre_tokenizer={"type": "Whitespace"})) is None
    assert WordEncoder.of(changed("gpt2", pre_tokenizer=None)) is None
    assert WordEncoder.of(changed("gpt2", normalizer={"type": "Lowercase"})) is None
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}
    assert WordEncoder.of(changed("gpt2", pre_tokenizer=metaspace)) is None
    stripping = Tokenizer.from_str(backend("gpt2").to_str())
    stripping.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    assert WordEncoder.of(stripping) is None


def test_an_expression_that_may_mean_something_else_to_python_has_no_encoder() -> None:
    for source in (r"\p{Lu}+|\s+", r"\w+|\s+|[^\w\s]+", r"[a-z&&[^x]]+", r"\p{N}{1,3}+|."):
        split = pre_tokenizers.Split(Regex(source), "isolated")
        other = Tokenizer.from_str(backend("llama3").to_str())
        own = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        other.pre_tokenizer = pre_tokenizers.Sequence([split, own])
        assert WordEncoder.of(other) is None


def test_words_that_turn_out_wrong_are_never_used_again() -> None:
    encoder = TextEncoder(backend("gpt2").to_str())
    assert encoder._words is not None
    encoder._words._tokens_of["hello"] = (1, 2, 3)
    ((ids, trained),) = encoder.encode_trained(["hello"], [[(0, 5)]])
    assert ids.tolist() == backend("gpt2").encode("hello").ids
    assert trained.tolist() == [False] + [True] * (len(ids) - 1)
    assert encoder._words is None
