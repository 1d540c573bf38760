"""Tokens as text, one by one."""

from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from opensloth_core.preview.pieces import TokenPieces
from opensloth_core.preview.visible import visible


def byte_level(merges: list[tuple[str, str]]) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*alphabet, *("".join(m) for m in merges)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.add_tokens([AddedToken("<tool é>", special=False)])
    return tokenizer


def sentencepiece() -> Tokenizer:
    pieces = ["<unk>", "▁a", "▁", "b", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(models.BPE({piece: n for n, piece in enumerate(pieces)}, [], byte_fallback=True))
    replaced = decoders.Replace("▁", " ")
    tokenizer.decoder = decoders.Sequence([replaced, decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def texts(tokenizer: Tokenizer, text: str) -> list[str]:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return list(TokenPieces(tokenizer).texts(ids))


def test_the_texts_of_tokens_join_to_the_text() -> None:
    tokenizer = byte_level([("Ġ", "a")])
    assert texts(tokenizer, "b a\n") == ["b", " a", "\n"]


def test_a_character_over_several_tokens_shows_bytes_and_then_itself() -> None:
    # U+1F60A is f0 9f 98 8a; every byte is a token here.
    assert texts(byte_level([]), "x😊") == ["x", "⟨f0⟩", "⟨9f⟩", "⟨98⟩", "😊"]
    assert texts(byte_level([("ð", "Ł")]), "😊") == ["⟨f0 9f⟩", "⟨98⟩", "😊"]


def test_a_character_that_is_cut_off_is_shown_as_its_bytes() -> None:
    tokenizer = byte_level([])
    ids = tokenizer.encode("é", add_special_tokens=False).ids
    assert list(TokenPieces(tokenizer).texts([ids[0], ids[0], ids[1], ids[1]])) == ["⟨c3⟩", "�⟨c3⟩", "é", "�"]


def test_added_tokens_are_their_text_and_not_bytes_of_the_alphabet() -> None:
    tokenizer = byte_level([])
    pieces = TokenPieces(tokenizer)
    special, ordinary = tokenizer.token_to_id("<|end|>"), tokenizer.token_to_id("<tool é>")
    assert list(pieces.texts([special, ordinary])) == ["<|end|>", "<tool é>"]
    assert pieces.is_special(special) and not pieces.is_special(ordinary)


def test_sentencepiece_vocabularies_have_spaces_and_bytes() -> None:
    tokenizer = sentencepiece()
    ids = [tokenizer.token_to_id(piece) for piece in ("▁a", "b", "▁", "<0xC3>", "<0xA9>", "<0x0A>")]
    assert list(TokenPieces(tokenizer).texts(ids)) == [" a", "b", " ", "⟨c3⟩", "é", "\n"]


def test_a_token_the_vocabulary_lacks_is_shown_by_its_number() -> None:
    assert list(TokenPieces(byte_level([])).texts([99_999])) == ["⟨token 99999⟩"]


def test_a_model_folder_has_its_tokenizer(tiny_model_dir: Path) -> None:
    pieces = TokenPieces.of_model(tiny_model_dir)
    assert list(pieces.texts([2])) == ["<|im_end|>"]
    assert pieces.is_special(2)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b", "a b"),
        ("a\nb", "a⏎\nb"),
        ("a\r\n\tb", "a␍⏎\n⇥b"),
        ("\x1b[31mred\x00\x7f", "␛[31mred␀␡"),
        ("\u200b\u202e\u2028", "⟨U+200B⟩⟨U+202E⟩⟨U+2028⟩"),
        ("\x9b", "⟨U+009B⟩"),
        ("é 😊 日本", "é 😊 日本"),
    ],
)
def test_what_is_invisible_is_shown_and_steers_no_terminal(text: str, shown: str) -> None:
    assert visible(text) == shown
