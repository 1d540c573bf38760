import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from opensloth_core.config.data import Method
from opensloth_core.data.chunk import RawChunk
from opensloth_core.data.encode import ChunkEncoder, EncodedChunk, EncodeSetup, prompt_group
from opensloth_core.data.example import Chat, Text
from opensloth_core.data.read.raw_row import RawRow
from opensloth_core.data.row import Rejected
from opensloth_core.data.shape.layout import layout_of

Encode = Callable[..., EncodedChunk]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def raw(rows: list[Any]) -> list[RawRow | Rejected]:
    return [
        row if isinstance(row, Rejected) else RawRow(line, json.dumps(row, ensure_ascii=False).encode())
        for line, row in enumerate(rows, 1)
    ]


@pytest.fixture(scope="session")
def encode(byte_setup: EncodeSetup) -> Encode:
    def encode(
        rows: list[Any], method: Method = "sft", setup: EncodeSetup = byte_setup, **changes: Any
    ) -> EncodedChunk:
        layout = layout_of([row for row in rows if isinstance(row, dict)], method, {}, "x")
        return ChunkEncoder(replace(setup, **changes)).encode(RawChunk("x", layout, raw(rows)))

    return encode


@pytest.fixture(scope="session")
def backend(byte_setup: EncodeSetup) -> Tokenizer:
    return Tokenizer.from_str(byte_setup.tokenizer_json)


@pytest.fixture(scope="session")
def merging(merging_setup: EncodeSetup) -> Tokenizer:
    return Tokenizer.from_str(merging_setup.tokenizer_json)


def parts(chunk: EncodedChunk) -> list[tuple[list[int], list[bool]]]:
    """Ids and masks of each example."""
    ends = np.cumsum(chunk.lengths_E)
    ids, trained = (np.split(values, ends[:-1]) for values in (chunk.input_ids_T, chunk.trained_T))
    return [(one.tolist(), mask.tolist()) for one, mask in zip(ids, trained, strict=True)]


def decode(backend: Tokenizer, ids: Any) -> str:
    return str(backend.decode(list(ids), skip_special_tokens=False))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
conversations = st.lists(st.tuples(texts, texts), min_size=1, max_size=3).map(
    lambda pairs: [turn for asked, answer in pairs for turn in (user(asked), assistant(answer))]
)


@given(messages=conversations)
def test_decoding_the_trained_tokens_gives_exactly_the_answers_and_their_end_tokens(
    messages: list[dict[str, Any]], encode: Encode, merging_setup: EncodeSetup, merging: Tokenizer
) -> None:
    chunk = encode([{"messages": messages}], setup=merging_setup)
    answers = [turn["content"] + "<|im_end|>" for turn in messages if turn["role"] == "assistant"]
    assert decode(merging, chunk.input_ids_T[chunk.trained_T]) == "".join(answers)
    turns = [f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages]
    assert decode(merging, chunk.input_ids_T) == "".join(turns)


@pytest.mark.parametrize(
    ("train_on", "trained"),
    [
        ("assistant", "b<|im_end|>d<|im_end|>"),
        ("last-assistant", "d<|im_end|>"),
        # The first token is predicted from nothing.
        ("all", "user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n"
         "<|im_start|>assistant\nd<|im_end|>\n"),
    ],
)  # fmt: skip
def test_what_is_trained_is_what_was_asked_for(
    train_on: str, trained: str, encode: Encode, backend: Tokenizer
) -> None:
    row = {"messages": [user("a"), assistant("b"), user("c"), assistant("d")]}
    chunk = encode([row], train_on=train_on)
    assert decode(backend, chunk.input_ids_T[chunk.trained_T]) == trained


def test_turns_that_the_data_excludes_are_not_trained(encode: Encode, backend: Tokenizer) -> None:
    row = {"messages": [user("a"), {**assistant("b"), "weight": 0}, user("c"), assistant("d")]}
    chunk = encode([row])
    assert decode(backend, chunk.input_ids_T[chunk.trained_T]) == "d<|im_end|>"


def test_plain_text_is_trained_whole_with_its_end(encode: Encode, backend: Tokenizer) -> None:
    chunk = encode([{"text": "Once upon"}])
    assert decode(backend, chunk.input_ids_T) == "Once upon<|im_end|>"
    assert decode(backend, chunk.input_ids_T[chunk.trained_T]) == "nce upon<|im_end|>"


def test_rows_that_cannot_be_used_are_told_by_their_place_and_the_others_kept(encode: Encode) -> None:
    rows = [
        {"question": "a", "answer": "b"},
        {"question": "", "answer": "b"},
        Rejected(3, "not valid UTF-8", "byte 5 of the line"),
        {"question": "c", "answer": "d"},
        [1, 2],
    ]
    chunk = encode(rows)
    assert chunk.row_E.tolist() == [0, 3]
    assert [(row.row, row.reason, row.detail, row.num_tokens) for row in chunk.rejected] == [
        (1, "empty content", "question is empty", 0),
        (2, "not valid UTF-8", "byte 5 of the line", 0),
        (4, "not a JSON object", "a list", 0),
    ]
    assert len(chunk.input_ids_T) == len(chunk.trained_T) == chunk.lengths_E.sum()
    assert (chunk.input_ids_T.dtype, chunk.lengths_E.dtype, chunk.row_E.dtype) == (np.int32,) * 3


def test_a_chunk_of_rejected_rows_has_no_tokens(byte_setup: EncodeSetup) -> None:
    chunk = ChunkEncoder(byte_setup).encode(RawChunk("x", None, raw([Rejected(1, "not valid JSON")])))
    assert len(chunk.input_ids_T) == len(chunk.lengths_E) == 0
    assert [row.reason for row in chunk.rejected] == ["not valid JSON"]
    assert chunk.group_E.dtype == np.uint64


def test_a_row_of_which_nothing_is_trained_is_rejected_with_its_tokens(
    encode: Encode, byte_setup: EncodeSetup
) -> None:
    # The whole text is one token, which nothing predicts, where there is no token that ends it.
    template = replace(byte_setup.template, text_end="")
    chunk = encode([{"text": "a"}, {"text": "ab"}], template=template)
    assert chunk.row_E.tolist() == [1]
    assert [(row.row, row.reason, row.detail, row.num_tokens) for row in chunk.rejected] == [
        (0, "nothing to train", "the template renders no text that is trained", 1)
    ]


PAIR = {"prompt": "Why?", "chosen": "So.", "rejected": "No idea."}


def test_a_pair_holds_its_prompt_once(encode: Encode, backend: Tokenizer) -> None:
    chunk = encode([PAIR], "dpo")
    ((ids, trained),) = parts(chunk)
    num_prompt, num_chosen = int(chunk.num_prompt_E[0]), int(chunk.num_chosen_E[0])
    prompt = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    assert decode(backend, ids[:num_prompt]) == prompt
    assert decode(backend, ids[num_prompt : num_prompt + num_chosen]) == "So.<|im_end|>"
    assert decode(backend, ids[num_prompt + num_chosen :]) == "No idea.<|im_end|>"
    assert trained == [False] * num_prompt + [True] * (len(ids) - num_prompt)


@given(prompt=texts, chosen=texts, rejected=texts)
def test_prompt_and_answer_are_the_tokens_of_both_together(
    prompt: str, chosen: str, rejected: str, encode: Encode, merging_setup: EncodeSetup, merging: Tokenizer
) -> None:
    if chosen.strip() == rejected.strip():
        return
    chunk = encode([{"prompt": prompt, "chosen": chosen, "rejected": rejected}], "dpo", merging_setup)
    assert not chunk.rejected
    first, second = int(chunk.num_prompt_E[0]), int(chunk.num_prompt_E[0] + chunk.num_chosen_E[0])
    ids = chunk.input_ids_T.tolist()
    asked = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
    for answer, answer_ids in ((chosen, ids[first:second]), (rejected, ids[second:])):
        together = merging.encode(f"{asked}{answer}<|im_end|>", add_special_tokens=False).ids
        assert ids[:first] + answer_ids == together


def test_a_token_that_straddles_prompt_and_answer_belongs_to_the_answers(
    encode: Encode, merging_setup: EncodeSetup, merging: Tokenizer
) -> None:
    # A header that ends with a space, which the tokenizer joins with the word that follows.
    source = merging_setup.template.source.replace("'<|im_start|>assistant\n'", "'<|im_start|>assistant '")
    source = source.replace("message['role'] + '\n'", "message['role'] + ' '")
    template = replace(merging_setup.template, source=source, tool_source=source)
    assert source.count("\n") == 1
    rows = [{"prompt": "What is it?", "chosen": "answer 42.", "rejected": "42."}]
    chunk = encode(rows, "dpo", merging_setup, template=template)
    (ids, _), num_prompt, num_chosen = parts(chunk)[0], int(chunk.num_prompt_E[0]), int(chunk.num_chosen_E[0])
    assert decode(merging, ids[:num_prompt]).endswith("<|im_start|>assistant")
    assert decode(merging, ids[num_prompt : num_prompt + num_chosen]) == " answer 42.<|im_end|>"
    assert decode(merging, ids[num_prompt + num_chosen :]) == " 42.<|im_end|>"


def test_a_prompt_keeps_the_columns_that_rewards_read(encode: Encode, backend: Tokenizer) -> None:
    rows = [{"prompt": "1 + 1?", "answer": {"value": [2]}, "level": None}, {"prompt": "2?", "answer": "é"}]
    chunk = encode(rows, "grpo")
    ids = [decode(backend, ids) for ids, _ in parts(chunk)]
    assert ids[0] == "<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n"
    assert [json.loads(text or "") for text in chunk.columns_E] == [
        {"answer": {"value": [2]}, "level": None, "prompt": [user("1 + 1?")]},
        {"answer": "é", "prompt": [user("2?")]},
    ]
    assert not chunk.trained_T.any()
    assert chunk.num_prompt_E.tolist() == chunk.lengths_E.tolist()


def test_rows_with_the_same_prompt_are_one_group(encode: Encode) -> None:
    first, again, other = (
        {"messages": [user("a"), assistant("b"), user("c"), assistant("d")]},
        {"messages": [user("a"), assistant("x")]},
        {"messages": [user("A"), assistant("b")]},
    )
    groups = encode([first, again, other]).group_E.tolist()
    assert groups[0] == groups[1] != groups[2]


def test_the_system_prompt_is_part_of_the_prompt() -> None:
    kind, rude = (
        Chat([{"role": "system", "content": text}, user("a"), assistant("b")])
        for text in ("Be kind", "Be rude")
    )
    assert prompt_group(kind) != prompt_group(rude) != prompt_group(Chat([user("a"), assistant("b")]))


def test_a_group_is_the_same_in_every_process_and_layout(encode: Encode) -> None:
    asked = {"question": "a", "answer": "b"}
    chat = {"messages": [user("a"), assistant("b")]}
    assert encode([asked]).group_E.tolist() == encode([chat]).group_E.tolist() == [5006808187686486551]
    preference = {"prompt": "a", "chosen": "b", "rejected": "c"}
    assert encode([preference], "dpo").group_E.tolist() == encode([{"prompt": "a"}], "grpo").group_E.tolist()


def test_the_same_text_twice_is_one_group_and_another_text_another() -> None:
    groups = [prompt_group(Text(text)) for text in ("a b", "a b", "a c")]
    assert groups[0] == groups[1] != groups[2]
    opening = [assistant("Hello."), user("a"), assistant("b")]
    assert prompt_group(Chat(opening)) != prompt_group(Chat([assistant("Hi."), *opening[1:]]))


def test_a_template_that_rewrites_earlier_turns_gives_an_example_for_each_answer(
    encode: Encode, backend: Tokenizer, byte_setup: EncodeSetup
) -> None:
    source = (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{% if loop.last or message['role'] == 'user' %}{{ message['content'] }}{% else %}…{% endif %}"
        "{{ '<|im_end|>' + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    template = replace(byte_setup.template, source=source, tool_source=source)
    row = {"messages": [user("a"), assistant("bee"), user("c"), assistant("dee")]}
    chunk = encode([{"messages": [user("z"), assistant("zed")]}, row], template=template)
    assert not chunk.rejected
    assert chunk.row_E.tolist() == [0, 1, 1]
    assert len(set(chunk.group_E[1:].tolist())) == 1
    trained = [[id_ for id_, keep in zip(*part, strict=True) if keep] for part in parts(chunk)]
    assert [decode(backend, ids) for ids in trained] == [
        "zed<|im_end|>",
        "bee<|im_end|>",
        "dee<|im_end|>",
    ]
