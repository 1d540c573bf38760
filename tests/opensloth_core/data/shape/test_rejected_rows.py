from typing import Any

import pytest

from opensloth_core.config.data import Method
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.layout import layout_of
from opensloth_core.data.shape.normalise import normalise

USER = {"role": "user", "content": "Hi?"}
ASSISTANT = {"role": "assistant", "content": "Hello."}
SYSTEM = {"role": "system", "content": "Be kind."}
HI = [USER, ASSISTANT]


def reason(row: dict[str, Any], good: dict[str, Any], method: Method = "sft", **mapping: str) -> str:
    """Why the row is rejected in a file whose first row is the good one."""
    layout = layout_of([good], method, mapping, "train.jsonl")
    with pytest.raises(RowError) as caught:
        normalise(row, layout)
    return str(caught.value)


def turn(**keys: Any) -> dict[str, Any]:
    """A row of messages whose second turn is this one."""
    return {"messages": [USER, keys, ASSISTANT]}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": []}, "empty content (messages has no turns)"),
        ({"messages": "[]"}, "empty content (messages has no turns)"),
        ({"messages": "Hi"}, "not a list of turns (messages is a str)"),
        (
            {"messages": "[Hi"},
            "not a list of turns (messages is no JSON: Expecting value at character 2)",
        ),
        ({"messages": {"role": "user"}}, "not a list of turns (messages is a dict)"),
        ({"messages": ["Hi"]}, "not a list of turns (messages[0] is a str)"),
        ({"messages": [{"content": "Hi"}]}, "not a list of turns (messages[0] has no role or from)"),
        (
            {"messages": [{**USER, "content": " \n"}, ASSISTANT]},
            "empty content (messages[0] content is blank)",
        ),
        (
            {"messages": [USER, {**ASSISTANT, "content": ""}]},
            "empty content (messages[1] content is empty)",
        ),
        (turn(role="assistant"), "content is not text (messages[1] content is missing or null)"),
        (turn(role="user", content=3), "content is not text (messages[1] content is a int)"),
        (turn(role="assistant", content={"a": 1}), "content is not text (messages[1] content is a dict)"),
        (turn(role="user", content=[]), "content is not text (messages[1] content is a list)"),
        (turn(role="user", content=["Hi"]), "content is not text (messages[1] content is a list)"),
        (
            turn(role="user", content=[{"type": "text", "text": None}]),
            "content is not text (messages[1] content has a text part whose text is missing or null)",
        ),
        (
            turn(role="user", content=[{"type": "text", "text": "a"}, {"type": "image"}]),
            "only text is supported (messages[1] content has a part of type 'image')",
        ),
        ({"messages": HI, "video": "a", "image": "b"}, "only text is supported (the row has video)"),
        ({"messages": HI, "images": ["a.png"]}, "only text is supported (the row has images)"),
        (
            turn(role="critic", content="x"),
            "unknown role (messages[1] is 'critic'; if it is the user, say so with --map role.user=critic)",
        ),
        (turn(role=["user"], content="x"), "unknown role (messages[1] role is a list)"),
        ({"messages": [USER]}, "no assistant turn"),
        ({"messages": [*HI, USER]}, "does not end with an assistant turn (the last turn is user)"),
        (
            {"messages": [SYSTEM, *HI], "system": "Be rude."},
            "two system prompts (the system column differs from the first turn)",
        ),
        (
            {"messages": [USER, {**ASSISTANT, "weight": 0}]},
            "nothing to train (every assistant turn has weight 0)",
        ),
        (
            turn(role="assistant", content="a", weight=0.5),
            "weight is neither 0 nor 1 (messages[1] weight is 0.5)",
        ),
        (
            turn(role="assistant", content="a", train="no"),
            "weight is neither 0 nor 1 (messages[1] train is 'no')",
        ),
        (
            turn(role="assistant", content="a", weight=10**5000),
            "weight is neither 0 nor 1 (messages[1] weight is a int)",
        ),
        (
            turn(role="user", content="a", tool_calls=[{"function": {"name": "f", "arguments": {}}}]),
            "only an assistant turn can have this (messages[1] is user and has tool calls)",
        ),
        (
            turn(role="user", content="a", thinking="Hm."),
            "only an assistant turn can have this (messages[1] is user and has reasoning)",
        ),
        (
            turn(role="assistant", content="a", reasoning={"text": "Hm."}),
            "content is not text (messages[1] reasoning is a dict)",
        ),
        (
            {"question": "Hi?", "answer": "Hello."},
            "columns do not fit the file's shape (found: question, answer; the file has messages)",
        ),
        (
            {"messages": HI, "question": "Hi?", "answer": "Hello."},
            "columns do not fit the file's shape (found: messages, question, answer; the file has messages, "
            "the row question, answer too)",
        ),
        (
            {"messages": None},
            "columns do not fit the file's shape (found: messages (null); the file has messages)",
        ),
        ({}, "columns do not fit the file's shape (found: none; the file has messages)"),
        (
            {"messages": HI, "chosen": "a", "rejected": "b"},
            "row of another training method (preference data (chosen, rejected): "
            "SFT would train the rejected answers too)",
        ),
        (
            {"messages": HI, "kto_tag": False},
            "row of another training method (KTO data (boolean kto_tag): "
            "SFT would train the answers labelled false too)",
        ),
    ],
)
def test_a_row_of_messages_that_cannot_be_used_says_why(row: dict[str, Any], expected: str) -> None:
    assert reason(row, {"messages": HI}) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": "a", "input": 3, "output": "b"}, "content is not text (input is a int)"),
        (
            {"instruction": "a", "output": "b", "history": [["c"]]},
            "not a list of turns (history is no list of [question, answer] pairs)",
        ),
        (
            {"instruction": "a", "output": "b", "history": [["c", None]]},
            "content is not text (history[0] is missing or null)",
        ),
        ({"instruction": "a", "output": "b", "history": 3}, "not a list of turns (history is a int)"),
        ({"instruction": "a", "output": ""}, "empty content (output is empty)"),
        ({"instruction": "", "input": " ", "output": "b"}, "empty content (instruction is empty)"),
        ({"instruction": "a", "output": "b", "system": 3}, "content is not text (system is a int)"),
    ],
)
def test_an_alpaca_row_that_cannot_be_used_says_why(row: dict[str, Any], expected: str) -> None:
    assert reason(row, {"instruction": "a", "output": "b"}) == expected


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": " "}, "empty content (text is blank)"),
        ({"text": ["a"]}, "content is not text (text is a list)"),
        (
            {"text": "a", "question": "b", "answer": "c"},
            "columns do not fit the file's shape (found: text, question, answer; the file has text, "
            "the row question, answer too)",
        ),
        (
            {"text": "a", "label": "spam"},
            "row of another training method (classification data (text, label): "
            "SFT would train the texts and never the labels)",
        ),
    ],
)
def test_a_row_of_text_that_cannot_be_used_says_why(row: dict[str, Any], expected: str) -> None:
    assert reason(row, {"text": "a"}) == expected


def test_reasons_name_the_columns_of_the_data() -> None:
    good = {"query": "a", "response": "b"}
    assert reason({"query": "a", "response": 3}, good) == "not a list of turns (response is a int)"
