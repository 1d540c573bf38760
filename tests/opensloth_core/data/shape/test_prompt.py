from typing import Any

import pytest

from opensloth_core.config.data import Method
from opensloth_core.data.example import Example, Prompt
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.layout import layout_of
from opensloth_core.data.shape.normalise import normalise

Turn = dict[str, Any]


def system(text: str) -> Turn:
    return {"role": "system", "content": text}


def user(text: str) -> Turn:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> Turn:
    return {"role": "assistant", "content": text, **more}


def example(row: dict[str, Any], method: Method = "sft", **mapping: str) -> Example:
    return normalise(row, layout_of([row], method, mapping, "train.jsonl"))


HI = [user("Hi?"), assistant("Hello.")]
BE_KIND = system("Be kind.")
WEATHER = {"name": "weather", "description": "Now.", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": WEATHER}]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"prompt": "2+2?", "answer": "4", "reward_model": {"style": "rule", "truth": ["4", None]}},
            Prompt([user("2+2?")], {"answer": "4", "reward_model": {"style": "rule", "truth": ["4", None]}}),
        ),
        (
            {"prompt": [BE_KIND, user("2+2?")], "solution": None},
            Prompt([BE_KIND, user("2+2?")], {"solution": None}),
        ),
        ({"question": "2+2?", "answer": "#### 4"}, Prompt([user("2+2?")], {"answer": "#### 4"})),
        ({"problem": "2+2?", "label": True}, Prompt([user("2+2?")], {"label": True})),
        (
            {"instruction": "Add.", "input": "2, 2", "output": "4", "system": "Be kind.", "tools": [WEATHER]},
            Prompt([BE_KIND, user("Add.\n2, 2")], {"output": "4"}, TOOLS),
        ),
        ({"messages": [user("2+2?")], "answer": 4}, Prompt([user("2+2?")], {"answer": 4})),
        (
            {"messages": [*HI, user("2+2?"), assistant("4")], "level": 1},
            Prompt([*HI, user("2+2?")], {"level": 1, "reference": "4"}),
        ),
        (
            {
                "conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}],
                "reference": "four",
            },
            Prompt([user("2+2?")], {"reference": "four"}),
        ),
        (
            {"prompt": "2+2?", "question": "two and two", "chosen": "4", "rejected": "5"},
            Prompt([user("2+2?")], {"question": "two and two", "chosen": "4", "rejected": "5"}),
        ),
    ],
)
def test_every_shape_of_grpo_becomes_a_prompt_and_columns(row: dict[str, Any], expected: Prompt) -> None:
    assert example(row, "grpo") == expected


def reason(row: dict[str, Any], good: dict[str, Any], method: Method = "sft", **mapping: str) -> str:
    """Why the row is rejected in a file whose first row is the good one."""
    layout = layout_of([good], method, mapping, "train.jsonl")
    with pytest.raises(RowError) as caught:
        normalise(row, layout)
    return str(caught.value)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": HI}, "prompt ends with an assistant turn"),
        ({"prompt": ""}, "empty content (prompt is empty)"),
        ({"prompt": "a", "image": "a.png"}, "only text is supported (the row has image)"),
        ({"prompt": "a", "day": {1}}, "column holds what JSON cannot (day holds a set)"),
        ({"prompt": "a", "day": {1: 2}}, "column holds what JSON cannot (day has a key that is a int)"),
        (
            {"prompt": "a", "n": [10**5000]},
            "column holds what JSON cannot (n holds an integer of 16610 bits)",
        ),
    ],
)
def test_a_prompt_that_cannot_be_used_says_why(row: dict[str, Any], expected: str) -> None:
    assert reason(row, {"prompt": "a"}, "grpo") == expected


def test_a_conversation_of_answers_alone_has_no_prompt() -> None:
    assert reason({"messages": [HI[1]]}, {"messages": HI}, "grpo") == (
        "no prompt (all turns are the assistant's)"
    )


def test_a_column_nested_too_deeply_rejects_the_row() -> None:
    deep: Any = "x"
    for _ in range(70):
        deep = [deep]
    assert reason({"prompt": "a", "answer": deep}, {"prompt": "a"}, "grpo") == (
        "column holds what JSON cannot (answer is nested more than 64 deep)"
    )
