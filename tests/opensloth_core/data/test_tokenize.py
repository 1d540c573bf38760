from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensloth_core.data.encode import Conversation, encode_chunk
from opensloth_core.data.render.template import ChatTemplate
from opensloth_core.data.tokenize import (
    TextEncoder,
    _token_range,
    _token_range_by_offsets,
    trained_tokens,
)
from opensloth_core.errors import ModelError


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
conversations = st.lists(st.tuples(texts, texts), min_size=1, max_size=3).map(
    lambda pairs: [turn for asked, answer in pairs for turn in (user(asked), assistant(answer))]
)


@given(messages=conversations)
def test_decoding_the_trained_tokens_gives_exactly_the_answers_and_their_end_tokens(
    messages: list[dict[str, str]], tokenizer: Any
) -> None:
    chunk = encode_chunk([Conversation(1, messages)], ChatTemplate(tokenizer), TextEncoder(tokenizer), 10_000)
    trained = chunk.input_ids_T[chunk.trained_T].tolist()
    answers = [turn["content"] + "<|im_end|>" for turn in messages if turn["role"] == "assistant"]
    assert tokenizer.decode(trained) == "".join(answers)
    everything = tokenizer.decode(chunk.input_ids_T.tolist())
    assert everything == tokenizer.apply_chat_template(messages, tokenize=False)


@given(text=texts, data=st.data())
def test_a_token_is_trained_when_all_its_characters_are(text: str, data: Any, tokenizer: Any) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    (encoding,) = TextEncoder(tokenizer).encode([text])
    expected = [index > 0 and start <= a and b <= end for index, (a, b) in enumerate(encoding.offsets)]
    spans = [(start, end)] if start < end else []
    assert trained_tokens(encoding, spans, len(text)).tolist() == (
        expected if spans else [False] * len(expected)
    )


@given(text=texts, data=st.data())
def test_the_quick_way_and_the_one_by_offsets_agree(text: str, data: Any, tokenizer: Any) -> None:
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    if start == end:
        return
    (encoding,) = TextEncoder(tokenizer).encode([text])
    quick = range(*_token_range(encoding, start, end, len(text)))
    assert list(quick) == list(range(*_token_range_by_offsets(encoding, start, end)))


def test_a_token_that_straddles_the_header_is_not_trained(tokenizer: Any) -> None:
    (encoding,) = TextEncoder(tokenizer).encode(["The answer"])
    assert encoding.tokens == ["The", "Ġanswer"] or encoding.offsets[-1] == (3, 10)
    # The span begins behind the space that the last token begins with.
    assert not trained_tokens(encoding, [(4, 10)], 10).any()
    assert trained_tokens(encoding, [(3, 10)], 10).tolist()[-1]


def test_no_second_bos_and_no_truncation_are_added_to_the_text(tokenizer: Any) -> None:
    tokenizer("a b c d", truncation=True, max_length=2)
    (encoding,) = TextEncoder(tokenizer).encode(["<|im_start|>a b c d"])
    assert tokenizer.decode(encoding.ids) == "<|im_start|>a b c d"


def test_encoding_leaves_the_callers_tokenizer_as_it_is(make_tokenizer: Callable[..., Any]) -> None:
    tokenizer = make_tokenizer()
    before = tokenizer.backend_tokenizer.to_str()
    TextEncoder(tokenizer).encode(["a"])
    assert tokenizer.backend_tokenizer.to_str() == before


def test_a_tokenizer_without_a_rust_part_is_one_clear_line() -> None:
    class PythonTokenizer:
        name_or_path = "org/old"

    with pytest.raises(ModelError) as caught:
        TextEncoder(PythonTokenizer())  # type: ignore[arg-type]
    assert str(caught.value) == (
        "org/old: its PythonTokenizer has no tokenizer.json; masks need to know which characters a token "
        "covers, so convert it to a fast tokenizer"
    )


def test_a_chunk_keeps_what_is_short_enough_and_says_why_not_the_rest(tokenizer: Any) -> None:
    template, encoder = ChatTemplate(tokenizer), TextEncoder(tokenizer)
    short = Conversation(3, [user("a"), assistant("b")])
    long = Conversation(4, [user("a"), assistant("b " * 50)])
    length = len(encoder.encode([template.render(short.messages)])[0])
    num_long = len(encoder.encode([template.render(long.messages)])[0])
    chunk = encode_chunk([short, long, short], template, encoder, max_seq_length=length)
    assert chunk.lengths_R.tolist() == [length, length]
    assert chunk.positions_R.tolist() == [0, 2]
    assert [(row.line, str(row)) for row in chunk.rejected] == [
        (4, f"longer than max_seq_length ({num_long} tokens > {length})")
    ]
    assert chunk.num_tokens_dropped == num_long
    assert len(chunk.input_ids_T) == len(chunk.trained_T) == 2 * length
    assert chunk.input_ids_T.dtype == np.int32


def test_an_empty_chunk_has_no_tokens(tokenizer: Any) -> None:
    chunk = encode_chunk([], ChatTemplate(tokenizer), TextEncoder(tokenizer), 10)
    assert len(chunk.input_ids_T) == len(chunk.lengths_R) == 0
