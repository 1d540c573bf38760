import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.encode import EncodeSetup
from opensloth_core.data.tokenize import (
    TextEncoder,
    _token_range,
    _token_range_by_offsets,
    tokenizer_json,
    tokens_before,
    trained_tokens,
)
from opensloth_core.errors import ModelError

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)


@pytest.fixture(scope="session")
def encoder(merging_setup: EncodeSetup) -> TextEncoder:
    return TextEncoder(merging_setup.tokenizer_json)


@given(text=texts, data=st.data())
def test_a_token_is_trained_when_all_its_characters_are(text: str, data: Any, encoder: TextEncoder) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    (encoding,) = encoder.encode([text])
    expected = [index > 0 and start <= a and b <= end for index, (a, b) in enumerate(encoding.offsets)]
    spans = [(start, end)] if start < end else []
    assert trained_tokens(encoding, spans, len(text)).tolist() == (
        expected if spans else [False] * len(expected)
    )


@given(text=texts, data=st.data())
def test_the_quick_way_and_the_one_by_offsets_agree(text: str, data: Any, encoder: TextEncoder) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    if start == end:
        return
    (encoding,) = encoder.encode([text])
    quick = range(*_token_range(encoding, start, end, len(text)))
    assert list(quick) == list(range(*_token_range_by_offsets(encoding, start, end)))


@given(text=texts, data=st.data())
def test_the_tokens_before_a_place_are_those_that_end_there_at_the_latest(
    text: str, data: Any, encoder: TextEncoder
) -> None:
    end = data.draw(st.integers(0, len(text)))
    (encoding,) = encoder.encode([text])
    assert tokens_before(encoding, end) == sum(stop <= end for _, stop in encoding.offsets)


def test_a_token_that_straddles_the_border_is_not_before_it(encoder: TextEncoder) -> None:
    (encoding,) = encoder.encode(["The answer is"])
    # "answer" is one token with the space before it.
    first = encoding.offsets.index((3, 10))
    assert [tokens_before(encoding, end) for end in (3, 4, 9, 10)] == [first, first, first, first + 1]


def test_a_token_that_straddles_the_header_is_not_trained(encoder: TextEncoder) -> None:
    (encoding,) = encoder.encode(["The answer"])
    assert encoding.offsets[-1] == (3, 10)
    # The span begins behind the space that the last token begins with.
    assert not trained_tokens(encoding, [(4, 10)], 10).any()
    assert trained_tokens(encoding, [(3, 10)], 10).tolist()[-1]


def test_no_second_bos_and_no_truncation_are_added_to_the_text(make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer()
    tokenizer("a b c d", truncation=True, max_length=2)
    definition = tokenizer_json(tokenizer)
    assert json.loads(definition)["truncation"]["max_length"] == 2
    (encoding,) = TextEncoder(definition).encode(["<|im_start|>a b c d"])
    assert tokenizer.decode(encoding.ids) == "<|im_start|>a b c d"


def test_encoding_leaves_the_callers_tokenizer_as_it_is(make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer()
    before = tokenizer.backend_tokenizer.to_str()
    TextEncoder(tokenizer_json(tokenizer)).encode(["a"])
    assert tokenizer.backend_tokenizer.to_str() == before


def test_a_tokenizer_without_a_rust_part_is_one_clear_line() -> None:
    class PythonTokenizer:
        name_or_path = "org/old"

    with pytest.raises(ModelError) as caught:
        tokenizer_json(PythonTokenizer())  # type: ignore[arg-type]
    assert str(caught.value) == (
        "org/old: its PythonTokenizer has no tokenizer.json; masks need to know which characters a token "
        "covers, so convert it to a fast tokenizer"
    )


def test_nothing_has_no_tokens(encoder: TextEncoder) -> None:
    assert encoder.encode([]) == []
    (encoding,) = encoder.encode([""])
    assert len(trained_tokens(encoding, [], 0)) == 0 == tokens_before(encoding, 0)
