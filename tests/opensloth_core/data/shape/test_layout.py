import pickle
from typing import Any

import pytest

from opensloth_core.config.data import Method
from opensloth_core.data.shape.layout import Layout, layout_of
from opensloth_core.data.shape.shapes import Shape
from opensloth_core.errors import DataError

HI = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]
DIALOGUE = [{"speaker": "Customer", "utterance": "Hi?"}, {"speaker": "Agent", "utterance": "Hello."}]
SFT = "messages | conversations | instruction, output | prompt, completion | question, answer | text"
DPO = (
    "prompt, chosen, rejected | question, chosen, rejected | instruction, chosen, rejected | "
    "messages, chosen, rejected | conversations, chosen, rejected | chosen, rejected"
)


def layout(row: dict[str, Any], method: Method = "sft", **mapping: str) -> Layout:
    return layout_of([row], method, mapping, "train.jsonl")


def refusal(*rows: dict[str, Any], method: Method = "sft", **mapping: str) -> str:
    with pytest.raises(DataError) as caught:
        layout_of(rows, method, mapping, "train.jsonl")
    return str(caught.value)


@pytest.mark.parametrize(
    ("row", "method", "shape"),
    [
        ({"messages": HI, "text": "a", "prompt": "b"}, "sft", Shape.MESSAGES),
        ({"messages": HI, "problem": "a", "answer": "b"}, "sft", Shape.MESSAGES),
        ({"instruction": "a", "response": "b"}, "sft", Shape.ALPACA),
        ({"query": "a", "response": "b"}, "sft", Shape.QUESTION_ANSWER),
        ({"text": "a", "label": None}, "sft", Shape.TEXT),
        ({"prompt": "a", "messages": HI, "chosen": HI, "rejected": HI}, "dpo", Shape.PROMPT_PAIR),
        ({"chosen": HI, "rejected": HI, "messages": None}, "dpo", Shape.PAIR),
        ({"prompt": "a", "question": "b", "messages": HI}, "grpo", Shape.PROMPT),
        ({"messages": HI, "problem": "a", "solution": "b"}, "grpo", Shape.MESSAGES),
    ],
)
def test_the_shape_is_found_from_the_columns(row: dict[str, Any], method: Method, shape: Shape) -> None:
    assert layout(row, method).shape is shape


def test_the_shape_is_that_of_most_rows() -> None:
    rows = [{"title": "a"}, {"prompt": "a", "completion": "b"}, *[{"question": "a", "answer": "b"}] * 2]
    assert layout_of(rows, "sft", {}, "x").shape is Shape.QUESTION_ANSWER


def test_unknown_columns_are_an_error_that_says_what_was_seen_and_what_is_accepted() -> None:
    assert refusal({"title": "a", "meta data": 1}) == (
        f"train.jsonl: no conversation in columns: title, 'meta data'; accepted: {SFT}; "
        "say what is what with --map NAME=COLUMN (README: Data it understands)"
    )
    assert refusal({"messages": HI}, method="dpo") == (
        f"train.jsonl: no pair of answers in columns: messages; accepted: {DPO}; "
        "say what is what with --map NAME=COLUMN (README: Data it understands)"
    )
    assert refusal({"text": "a"}, method="grpo") == (
        "train.jsonl: no prompt in columns: text; accepted: prompt | messages | conversations | question | "
        "instruction; say what is what with --map NAME=COLUMN (README: Data it understands)"
    )
    assert refusal({"a": 1, "b": 2}, prompt="a") == (
        f"train.jsonl: no conversation in columns: a, b with --map prompt=a; accepted: {SFT}; "
        "say what is what with --map NAME=COLUMN (README: Data it understands)"
    )


def test_no_rows_are_an_error() -> None:
    assert refusal() == "train.jsonl: no rows to find the shape from; at least one is needed"


def test_columns_of_two_shapes_are_an_error_that_says_what_was_seen() -> None:
    assert refusal({"messages": HI, "question": "a", "answer": "b"}) == (
        "train.jsonl: columns fit several shapes (messages | question, answer); "
        "found: messages, question, answer; choose with --map, such as --map messages=messages"
    )


@pytest.mark.parametrize(
    ("row", "method", "kind"),
    [
        (
            {"conversations": HI, "chosen": {}, "rejected": {}},
            "sft",
            "preference data (chosen, rejected): SFT would train the rejected answers too",
        ),
        ({"chosen": HI, "rejected": HI}, "sft", "preference data (chosen, rejected)"),
        (
            {"messages": HI, "label": True},
            "sft",
            "KTO data (boolean label): SFT would train the answers labelled false too",
        ),
        (
            {"text": "a", "label": 1},
            "sft",
            "classification data (text, label): SFT would train the texts and never the labels",
        ),
        ({"premise": "a", "hypothesis": "b", "label": 2}, "sft", "classification data (label)"),
        (
            {"prompt": "a", "completions": ["b"], "labels": [True]},
            "sft",
            "stepwise supervision data (completions, labels)",
        ),
        ({"input_ids": [1, 2]}, "sft", "data that is tokenised already (input_ids)"),
        ({"prompt": "a", "completion": "b", "label": False}, "dpo", "KTO data (boolean label)"),
    ],
)
def test_data_of_another_kind_is_refused_with_what_it_is(
    row: dict[str, Any], method: Method, kind: str
) -> None:
    accepted = {"sft": SFT, "dpo": DPO}[method]
    assert refusal(row, method=method) == (
        f"train.jsonl: {kind}; method {method} takes {accepted}; use another method, "
        "or rename the columns if they mean something else (README: Data it understands)"
    )


def test_a_mapping_of_all_that_a_shape_needs_ends_an_ambiguity() -> None:
    row = {"messages": HI, "question": "a", "answer": "b"}
    assert layout(row, question="question", answer="answer").shape is Shape.QUESTION_ANSWER
    assert layout(row, messages="messages").shape is Shape.MESSAGES
    pair = {"prompt": "a", "chosen": HI, "rejected": HI}
    assert layout(pair, "dpo", chosen="chosen", rejected="rejected").shape is Shape.PAIR
    assert layout(pair, "dpo", chosen="rejected", rejected="chosen", prompt="prompt").shape is (
        Shape.PROMPT_PAIR
    )


def test_a_mapping_is_completed_by_what_the_columns_say() -> None:
    assert layout({"q": "a", "completion": "b"}, prompt="q").shape is Shape.PROMPT_COMPLETION


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"mesages": "dialogue"}, "--map mesages=dialogue: unknown name 'mesages'; did you mean messages?"),
        (
            {"user": "Customer"},
            "--map user=Customer: unknown name 'user'; did you mean role.user? names: mess",
        ),
        ({"xyz": "dialogue"}, "--map xyz=dialogue: unknown name 'xyz'; names: messages, conversations, pro"),
        (
            {"messages": "dialog"},
            "--map messages=dialog: no column 'dialog' in the data; columns: dialogue, id",
        ),
        (
            {"prompt": "id", "completion": "id"},
            "--map: the column 'id' cannot be both prompt and completion",
        ),
        (
            {"messages": "dialogue", "role": "name"},
            "--map role=name: no turn has a key 'name'; keys of turns: speaker, utterance",
        ),
        (
            {"question": "id", "answer": "dialogue", "history": "id"},
            "--map: the column 'id' cannot be both question and history",
        ),
        (
            {"question": "id", "history": "dialogue"},
            "no conversation in columns: dialogue, id with --map question=id history=dialogue; accepted: ",
        ),
    ],
)
def test_a_mapping_that_cannot_take_effect_is_an_error(mapping: dict[str, str], expected: str) -> None:
    assert refusal({"dialogue": DIALOGUE, "id": "7"}, **mapping).startswith(f"train.jsonl: {expected}")


def test_a_mapping_of_turns_needs_turns() -> None:
    mapping = {"role": "speaker", "role.user": "Customer"}
    assert refusal({"question": "a", "answer": "b"}, **mapping) == (
        "train.jsonl: --map role, role.user: the data has no turns that this could be in"
    )


def test_turn_keys_are_found_in_conversations_kept_as_json_text() -> None:
    text = '[{"speaker": "Customer", "content": "Hi?"}]'
    assert layout({"messages": text}, role="speaker").turn_keys == (("role", "speaker"),)
    assert "no turns" in refusal({"messages": "[{"}, role="speaker")


def test_a_layout_says_what_it_reads_and_what_not() -> None:
    row = {"dialogue": DIALOGUE, "id": 7, "context": "c"}
    mapping = {"messages": "dialogue", "role": "speaker", "content": "utterance", "role.user": "Customer"}
    assert layout(row, **mapping).describe() == (
        "messages (messages=dialogue, content=utterance, role=speaker, role.user=Customer); "
        "not read: id, context"
    )
    assert layout({"question": "a", "answer": "b"}).describe() == "question, answer"
    assert layout({"question": "a", "answer": "b"}, "grpo").describe() == "question; kept for rewards: answer"


def test_layouts_are_values_that_survive_pickling() -> None:
    one = layout({"dialogue": DIALOGUE}, messages="dialogue")
    assert one.form.roles["gpt"] == "assistant"
    copy = pickle.loads(pickle.dumps(one))
    assert (copy, hash(copy), copy.key) == (one, hash(one), one.key)


def test_the_key_tells_apart_all_that_decides_how_rows_are_read() -> None:
    row = {"dialogue": DIALOGUE, "talk": DIALOGUE}
    row |= {"messages": DIALOGUE, "question": "a", "answer": "b"}
    mappings: list[dict[str, str]] = [
        {"messages": "messages"},
        {"messages": "dialogue"},
        {"messages": "talk"},
        {"messages": "talk", "role": "speaker"},
        {"messages": "talk", "role": "utterance"},
        {"messages": "talk", "role.user": "Customer"},
        {"messages": "talk", "role.assistant": "Customer"},
        {"messages": "talk", "role.user": "Agent"},
        {"question": "question", "answer": "answer"},
    ]
    layouts = [layout(row, **mapping) for mapping in mappings]
    layouts += [layout(row, "grpo", messages="messages"), layout({"messages": HI})]
    assert len({one.key for one in layouts}) == len(layouts) == len(set(layouts))


def test_columns_that_are_not_read_change_no_key() -> None:
    assert layout({"messages": HI}).key == layout({"messages": HI, "id": 7}).key
    assert layout({"messages": HI}) == layout({"messages": HI, "id": 7})
