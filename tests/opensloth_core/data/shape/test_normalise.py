from typing import Any

import pytest

from opensloth_core.data.row import RowError
from opensloth_core.data.shape.layout import Shape, detect_shape
from opensloth_core.data.shape.normalise import normalise
from opensloth_core.errors import DataError


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


ASKED = [user("Hi?"), assistant("Hello.")]
SYSTEM = {"role": "system", "content": "Be kind."}


def normalised(row: dict[str, Any]) -> list[dict[str, str]]:
    return normalise(row, detect_shape([row], "train.jsonl"))


def reason(row: dict[str, Any], shape: Shape) -> str:
    with pytest.raises(RowError) as caught:
        normalise(row, shape)
    return str(caught.value)


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"messages": ASKED, "id": 7}, ASKED),
        ({"messages": [SYSTEM, *ASKED]}, [SYSTEM, *ASKED]),
        (
            {"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Hello."}]},
            ASKED,
        ),
        ({"conversations": [user("Hi?"), {"role": "model", "content": "Hello."}]}, ASKED),
        ({"conversations": ASKED, "system": "Be kind."}, [SYSTEM, *ASKED]),
        ({"instruction": "Hi?", "input": "", "output": "Hello."}, ASKED),
        (
            {"instruction": "Add.", "input": "1, 2", "output": "3", "system": "Be kind."},
            [SYSTEM, user("Add.\n1, 2"), assistant("3")],
        ),
        (
            {"instruction": "c", "output": "d", "history": [["a", "b"]]},
            [user("a"), assistant("b"), user("c"), assistant("d")],
        ),
        ({"instruction": "", "input": "Hi?", "output": "Hello."}, ASKED),
        ({"prompt": "Hi?", "completion": "Hello."}, ASKED),
        ({"prompt": [SYSTEM, user("Hi?")], "completion": [assistant("Hello.")]}, [SYSTEM, *ASKED]),
        ({"question": "Hi?", "answer": "Hello.", "messages": None}, ASKED),
    ],
)
def test_every_shape_becomes_messages(row: dict[str, Any], messages: list[dict[str, str]]) -> None:
    assert normalised(row) == messages


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": []}, "empty content (messages has no turns)"),
        ({"messages": "Hi"}, "not a list of turns (messages is a str)"),
        ({"messages": ["Hi"]}, "not a list of turns (messages[0] is a str)"),
        ({"messages": [{"content": "Hi"}]}, "not a list of turns (messages[0] has neither role nor from)"),
        ({"messages": [user(" \n")]}, "empty content (messages[0] content is blank)"),
        ({"messages": [{"role": "user"}]}, "content is not text (messages[0] content is missing or null)"),
        (
            {"messages": [{"role": "user", "content": 3}]},
            "content is not text (messages[0] content is a int)",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}]}]},
            "only text is supported yet (messages[0] content is a list of parts)",
        ),
        ({"messages": ASKED, "images": ["a.png"]}, "only text is supported yet (the row has images)"),
        (
            {"messages": [{"role": "critic", "content": "x"}]},
            "unknown role (messages[0] is 'critic'; known: system, user, human, assistant, gpt, model)",
        ),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "unknown role (messages[0] role is a list)"),
        ({"messages": [user("Hi?")]}, "no assistant turn"),
        (
            {"messages": [*ASKED, user("More?")]},
            "does not end with an assistant turn (the last turn is user)",
        ),
        (
            {"messages": [user("Hi?"), {"role": "tool", "content": "3"}]},
            "tool turns are not supported yet (messages[1] is tool)",
        ),
        (
            {"messages": [user("Hi?"), {"role": "assistant", "content": None, "tool_calls": [{}]}]},
            "tool turns are not supported yet (messages[1] calls a tool)",
        ),
        (
            {"messages": ASKED, "tools": '[{"name": "f"}]'},
            "tool turns are not supported yet (the row has tools)",
        ),
        (
            {"messages": [user("Hi?"), {**assistant("Hello."), "reasoning_content": "Hm."}]},
            "a turn's setting is not supported yet (messages[1] has reasoning_content)",
        ),
        (
            {"messages": [user("Hi?"), {**assistant("Hello."), "weight": 0}, *ASKED]},
            "a turn's setting is not supported yet (messages[1] has weight 0)",
        ),
        (
            {"messages": [SYSTEM, *ASKED], "system": "Be rude."},
            "two system prompts (the system column differs from the first turn)",
        ),
        (
            {"question": "Hi?", "answer": "Hello."},
            "columns do not fit the file's shape (found: question, answer; the file has messages)",
        ),
        (
            {"messages": None},
            "columns do not fit the file's shape (found: messages (null); the file has messages)",
        ),
        ({}, "columns do not fit the file's shape (found: none; the file has messages)"),
        (
            {"messages": ASKED, "chosen": "a", "rejected": "b"},
            "row of another training method (preference data (chosen, rejected): "
            "SFT would train the rejected answers too)",
        ),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: dict[str, Any], expected: str) -> None:
    assert reason(row, Shape.MESSAGES) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": "a", "input": 3, "output": "b"}, "content is not text (input is a int)"),
        (
            {"instruction": "a", "output": "b", "history": [["c"]]},
            "not a list of turns (history is no list of [question, answer] pairs)",
        ),
        ({"instruction": "a", "output": ""}, "empty content (output is empty)"),
        ({"instruction": "", "output": "b"}, "empty content (instruction is empty)"),
    ],
)
def test_an_alpaca_row_that_cannot_be_used_says_why(row: dict[str, Any], expected: str) -> None:
    assert reason(row, Shape.ALPACA) == expected


def test_a_system_turn_may_be_empty_since_it_switches_off_a_default() -> None:
    messages = [{"role": "system", "content": ""}, *ASKED]
    assert normalised({"messages": messages}) == messages


def refusal(*rows: dict[str, Any]) -> str:
    with pytest.raises(DataError) as caught:
        detect_shape(rows, "train.jsonl")
    return str(caught.value)


ACCEPTED = "messages | conversations | instruction, output | prompt, completion | question, answer"


def test_unknown_columns_are_an_error_that_says_what_was_seen_and_what_is_accepted() -> None:
    assert refusal({"text": "a", "meta data": 1}) == (
        f"train.jsonl: no conversation in columns: text, 'meta data'; accepted: {ACCEPTED}"
    )


def test_columns_of_two_shapes_are_an_error_that_says_what_was_seen() -> None:
    assert refusal({"messages": ASKED, "question": "a", "answer": "b"}) == (
        "train.jsonl: columns fit several shapes (messages | question, answer); "
        "found: messages, question, answer; keep the columns of one"
    )


def test_preference_and_kto_data_are_refused_since_sft_would_train_the_bad_answers() -> None:
    assert refusal({"conversations": [user("a")], "chosen": {}, "rejected": {}}) == (
        "train.jsonl: preference data (chosen, rejected): SFT would train the rejected answers too; "
        f"method sft needs {ACCEPTED}"
    )
    assert refusal({"messages": ASKED, "label": True}, {"messages": ASKED, "label": False}) == (
        "train.jsonl: KTO data (boolean label): SFT would train the answers labelled false too; "
        f"method sft needs {ACCEPTED}"
    )


def test_the_shape_is_that_of_most_rows() -> None:
    rows = [{"text": "a"}, {"prompt": "a", "completion": "b"}, *[{"question": "a", "answer": "b"}] * 2]
    assert detect_shape(rows, "x") is Shape.QUESTION_ANSWER
